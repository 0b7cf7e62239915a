# SPDX-License-Identifier: BSD-2-Clause
"""A Django site in one file, as manage.py, settings and URLs. It knows nothing of any marker, but
where DJANGO_APPLICATION names the WSGI_APPLICATION of the settings: `marked` is one."""
import os
import sys

from django.http import HttpResponse
from django.urls import path

SECRET_KEY = "of a test"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_site"
WSGI_APPLICATION = os.environ.get("DJANGO_APPLICATION", "django_site.application")


def item(request, number):
    return HttpResponse("item %d" % number)


urlpatterns = [path("item/<int:number>", item)]


def __getattr__(name):
    """The applications, made when they are asked for: by then the settings are there."""
    from django.core.wsgi import get_wsgi_application

    if name == "application":
        return get_wsgi_application()
    if name == "marked":
        from wsgiscope import mark
        return mark(get_wsgi_application(), name="django")
    raise AttributeError(name)


if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    os.environ["DJANGO_SETTINGS_MODULE"] = "django_site"
    execute_from_command_line(sys.argv)
