# SPDX-License-Identifier: BSD-2-Clause
# What is done to applications that are not edited. Included by tests.mk. Not a part of `make test`:
# `frameworks` fetches sources from PyPI, `mark-check` wants the folder of a Python 3.14 that
# `make pythons` makes.

.PHONY: frameworks mark-check

FRAMEWORKS ?= $(abspath $(O))/frameworks

frameworks: all ## Flask's and Django's own tests, marked and traced (root; minutes)
	$(need-root)
	$(Q)contrib/debian-packages.sh frameworks
	$(Q)tests/frameworks/check_frameworks.py $(O)/wsgiscope $(O)/python $(FRAMEWORKS)

# With the folder that is there.
mark-check: $(O)/wsgiscope pythons-marker-3.14 ## mark and unmark on a Python 3.14 (root; a minute)
	$(need-root)
	$(Q)tests/pythons/check_mark.py $(O)/wsgiscope $(PYTHONS) $(PYTHONS_O) 3.14
