"""Python's logging, as Celery's worker sets it up."""


def before_import(app, level, hostname):
    """Set logging up as the application wants it, and what it prints too."""
    conf = app.conf
    app.log.setup(
        level,
        None,
        bool(conf.worker_redirect_stdouts),
        conf.worker_redirect_stdouts_level,
        hostname=hostname,
    )
