import unittest
from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured

from rhubarb_tasks.options import Options, read_options


def read(given=None, settings=None, environment=None):
    return read_options(given or {}, (settings or {}).get, environment or {})


class Sources(unittest.TestCase):
    def test_options_come_before_celerys_settings_and_those_before_the_environment(self):
        environment = {"REDIS_URL": "redis://plain", "REDIS_TLS_URL": "rediss://tls"}
        self.assertEqual(read({}, {}, {"REDIS_URL": "redis://plain"}).redis_url, "redis://plain")
        self.assertEqual(read({}, {}, environment).redis_url, "rediss://tls")
        environment["CELERY_BROKER_URL"] = "redis://celery"
        self.assertEqual(read({}, {}, environment).redis_url, "redis://celery")
        settings = {"CELERY_BROKER_URL": "redis://setting"}
        self.assertEqual(read({}, settings, environment).redis_url, "redis://setting")
        self.assertEqual(read({"REDIS_URL": "unix:///own"}, settings, environment).redis_url, "unix:///own")

    def test_without_a_url_everything_else_is_read(self):
        self.assertEqual(read(), Options(queue_names={"default": "celery"}))

    def test_results_are_on_the_queues_server_unless_one_is_named(self):
        self.assertEqual(read({"REDIS_URL": "redis://a"}).result_url, "redis://a")
        self.assertEqual(read({"REDIS_URL": "redis://a", "RESULT_URL": "redis://b"}).result_url, "redis://b")
        settings = {"CELERY_BROKER_URL": "redis://a", "CELERY_RESULT_BACKEND": "redis://c"}
        self.assertEqual(read({}, settings).result_url, "redis://c")

    def test_celerys_transport_options_are_ours(self):
        transport = {"global_keyprefix": "shop:", "priority_steps": [0, 5], "sep": ":", "visibility_timeout": 9}
        options = read({"SEP": "-"}, {"CELERY_BROKER_TRANSPORT_OPTIONS": transport})
        self.assertEqual((options.global_keyprefix, options.priority_steps, options.sep), ("shop:", (0, 5), "-"))

    def test_results_have_a_prefix_of_their_own_as_each_celery_joins_it(self):
        settings = {"CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS": {"global_keyprefix": "shop:"}}
        self.assertEqual(read({}, settings).result_prefix(), "shop:")
        self.assertEqual(read({"RESULT_KEYPREFIX_FORM": "5.4"}, settings).result_prefix(), "shop:_")
        for form in ("5.7", "5.4"):
            options = {"RESULT_GLOBAL_KEYPREFIX": "shop", "RESULT_KEYPREFIX_FORM": form}
            self.assertEqual(read(options).result_prefix(), "shop_")
            self.assertEqual(read({"RESULT_KEYPREFIX_FORM": form, "GLOBAL_KEYPREFIX": "a:"}).result_prefix(), "")

    def test_a_queue_cannot_be_named_as_another_key(self):
        for name in ("rhubarb:{celery}:paused", "_kombu.x", "unacked", "celery-task-meta-1", "redbeat:x", "a\nb", "q" * 513):
            self.assertIsNotNone(read().queue_problem(name), name)
        for name in ("celery", "celery-tasks", "redbeat", "{x}"):
            self.assertIsNone(read().queue_problem(name), name)
        shop = read({"GLOBAL_KEYPREFIX": "shop:"})
        self.assertIsNone(shop.queue_problem("celery-task-meta-1"))
        self.assertIsNotNone(shop.queue_problem("rhubarb:queues"))
        with self.assertRaises(ImproperlyConfigured):
            read({"QUEUE_NAMES": {"mail": "rhubarb:queues"}})

    def test_djangos_default_queue_is_celerys(self):
        self.assertEqual(read().queue_names["default"], "celery")
        settings = {"CELERY_TASK_DEFAULT_QUEUE": "work"}
        self.assertEqual(read({}, settings).queue_names, {"default": "work"})
        names = read({"QUEUE_NAMES": {"default": "d", "mail": "m"}}, settings).queue_names
        self.assertEqual(names, {"default": "d", "mail": "m"})

    def test_an_expiry_may_be_a_timedelta_and_none_of_celerys_is_a_day(self):
        self.assertEqual(read({"RESULT_EXPIRES": timedelta(hours=1)}).result_expires, 3600)
        self.assertEqual(read({}, {"CELERY_RESULT_EXPIRES": 60}).result_expires, 60)
        self.assertEqual(read({}, {"CELERY_RESULT_EXPIRES": 0}).result_expires, 86_400)

    def test_names_may_be_in_lower_case(self):
        self.assertEqual(read({"default_priority": 0}).default_priority, 0)

    def test_celerys_spelling_of_certificates_is_redis_pys(self):
        url = "rediss://h:1/0?ssl_cert_reqs=CERT_NONE&x=CERT_NONE"
        self.assertEqual(read({"REDIS_URL": url}).redis_url, "rediss://h:1/0?ssl_cert_reqs=none&x=CERT_NONE")


class Problems(unittest.TestCase):
    def problems(self, given, settings=None):
        with self.assertRaises(ImproperlyConfigured) as raised:
            read(given, settings)
        return str(raised.exception)

    def test_all_problems_are_said_at_once(self):
        said = self.problems({"REDISURL": "x", "SEP": 1, "PRIORITY_STEPS": [3], "DEFAULT_PRIORITY": 10})
        for part in ("REDISURL is no option", "SEP is 1", "PRIORITY_STEPS is [3]", "DEFAULT_PRIORITY is 10"):
            self.assertIn(part, said)

    def test_another_kind_of_url_is_refused_and_its_password_not_shown(self):
        said = self.problems({}, {"CELERY_BROKER_URL": "amqp://me:secret@host"})
        self.assertIn("REDIS_URL is 'amqp://…'", said)
        self.assertNotIn("secret", said)
        said = self.problems({"REDIS_URL": "redis://a"}, {"CELERY_RESULT_BACKEND": "django-db"})
        self.assertIn("RESULTS: False", said)
        off = read({"REDIS_URL": "redis://a", "RESULTS": False}, {"CELERY_RESULT_BACKEND": "django-db"})
        self.assertFalse(off.results)

    def test_values_of_a_wrong_kind_are_refused(self):
        wrong = {
            "CLIENT": [],
            "TASK_NAMES": {"a": ""},
            "QUEUE_NAMES": "celery",
            "RESULTS": 1,
            "RESULT_EXPIRES": timedelta(0),
            "ENQUEUE_ON_COMMIT": "yes",
            "PRIORITY_STEPS": [0, 3, 3],
            "GLOBAL_KEYPREFIX": None,
            "RESULT_GLOBAL_KEYPREFIX": 1,
            "RESULT_KEYPREFIX_FORM": "5.5",
            "REDIS_URL": 6379,
        }
        for name, value in wrong.items():
            with self.subTest(name):
                self.assertIn(f"{name} is", self.problems({name: value}))
