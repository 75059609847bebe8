"""What a visitor can do. Every page answers with JSON; what it needs comes in the query."""

from django.contrib.auth import authenticate, get_user_model, login, logout
from django.http import JsonResponse
from django.urls import path


class Basket:
    """A class of the application's own: no data to anybody else."""


def whoami(request):
    """The user's primary key, and the session's other values."""
    values = {name: str(value) for name, value in request.session.items()}
    return JsonResponse({"user": request.user.pk, "values": values})


def log_in(request):
    user = authenticate(username=request.GET["name"], password="secret")
    login(request, user)
    return whoami(request)


def log_out(request):
    logout(request)
    return whoami(request)


def put(request):
    """Stores text, a tuple (`/put/?pair=1`), an object (`?basket=1`), or sets the session's expiry
    (`?expiry=60`).
    """
    if "pair" in request.GET:
        request.session["pair"] = (1, "two")
    elif "basket" in request.GET:
        request.session["basket"] = Basket()
    elif "expiry" in request.GET:
        request.session.set_expiry(int(request.GET["expiry"]))
    else:
        request.session.update(request.GET.dict())
    return whoami(request)


def set_password(request):
    """Changes a user's password elsewhere, so that the sessions with the old one are over."""
    user = get_user_model().objects.get(pk=request.GET["user"])
    user.set_password("another")
    user.save()
    return JsonResponse({})


def password_column(request):
    """What a service would read from the database."""
    users = get_user_model().objects.filter(pk=request.GET["user"], is_active=True)
    return JsonResponse({"password": users.values_list("password", flat=True).first()})


urlpatterns = [
    path("whoami/", whoami),
    path("login/", log_in),
    path("logout/", log_out),
    path("put/", put),
    path("set_password/", set_password),
    path("password_column/", password_column),
]
