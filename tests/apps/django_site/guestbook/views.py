"""The pages: a form with CSRF protection, a session counter, a stream, an upload, a failure."""

import hashlib
import os
import time

from django import forms
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt

from .models import Entry


class EntryForm(forms.ModelForm):
    """The form of the guest book."""

    class Meta:
        model = Entry
        fields = ["text"]


def book(request):
    form = EntryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect("book")
    return render(request, "book.html", {"form": form, "entries": Entry.objects.order_by("id"), "pid": os.getpid()})


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]), content_type="text/plain")


def lines(gate):
    """Line n comes when the file gate has n bytes."""
    for number in range(5):
        deadline = time.monotonic() + 60
        while os.path.getsize(gate) < number and time.monotonic() < deadline:
            time.sleep(0.005)
        yield "line %d\n" % number


def stream(request):
    return StreamingHttpResponse(lines(request.GET["gate"]), content_type="text/plain")


@csrf_exempt
def upload(request):
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse({"name": file.name, "size": file.size, "sha256": digest.hexdigest()})


def fail(request):
    raise RuntimeError("a view that fails")
