# SPDX-License-Identifier: BSD-2-Clause
# The tests, one fragment a kind.

include $(wildcard tests/tests-*.mk)
