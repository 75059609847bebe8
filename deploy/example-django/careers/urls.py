from django.contrib import admin
from django.urls import path

from jobs import board, views

urlpatterns = [
    path("", views.index, name="index"),
    path("scrape", views.scrape, name="scrape"),
    path("tasks/<uuid:id>", views.task, name="task"),
    path("board.json", board.postings),
    path("admin/", admin.site.urls),
]
