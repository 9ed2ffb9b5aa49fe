"""URLs of the site."""

from django.urls import path

from guestbook import views

urlpatterns = [
    path("", views.book, name="book"),
    path("visits", views.visits, name="visits"),
    path("stream", views.stream, name="stream"),
    path("upload", views.upload, name="upload"),
    path("fail", views.fail, name="fail"),
]
