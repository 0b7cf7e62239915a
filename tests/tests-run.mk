# SPDX-License-Identifier: BSD-2-Clause
# What is done to applications that are not edited. Included by tests.mk. Not a part of `make test`:
# `frameworks` fetches sources from PyPI, `mark-check` wants the folder of a Python 3.14 that
# `make pythons` makes, `express` compiles what PyPI has (apt-get install apache2-dev).

.PHONY: frameworks mark-check express

FRAMEWORKS ?= $(abspath $(O))/frameworks

frameworks: all ## Flask's and Django's own tests, marked and traced (root; minutes)
	$(need-root)
	$(Q)contrib/debian-packages.sh frameworks
	$(Q)tests/frameworks/check_frameworks.py $(O)/wsgiscope $(O)/python $(FRAMEWORKS)

# With the folder that is there.
mark-check: $(O)/wsgiscope pythons-marker-3.14 ## mark and unmark on a Python 3.14 (root; a minute)
	$(need-root)
	$(Q)tests/pythons/check_mark.py $(O)/wsgiscope $(PYTHONS) $(PYTHONS_O) 3.14

EXPRESS ?= $(abspath $(O))/express

express: all ## mod_wsgi-express by run, and by the wire (root; a minute)
	$(need-root)
	$(Q)[ -x $(EXPRESS)/bin/mod_wsgi-express ] || { $(PYTHON) -m venv $(EXPRESS) && \
		$(EXPRESS)/bin/pip -q install mod_wsgi; }
	$(Q)WSGISCOPE=$(abspath $(O))/wsgiscope PYTHONPATH=$(abspath $(O))/python \
		WSGISCOPE_EXPRESS=$(EXPRESS)/bin/mod_wsgi-express $(PYTEST) tests/express
