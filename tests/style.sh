#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The hard limits of the style (design.md section 7): functions of 60 lines, files of 500, lines of
# 100 columns, .clang-format, an SPDX line at the top. Prints every breach; exit 1 if there is one.
# Run from anywhere; needs no root.
set -eu
cd "$(dirname "$0")/.."

MAX_FUNCTION=60
MAX_FILE=500
MAX_COLUMNS=100
FORMAT_MAJOR=14 # the release whose output .clang-format was fixed with; others differ in detail

find_files()
{
	find Makefile bpf user python-shim tests contrib man .ci -type f "$@" \
		! -path '*/__pycache__/*' ! -path '*/.pytest_cache/*' ! -name '*.pyc' | sort
}

c_files=$(find_files \( -name '*.c' -o -name '*.h' \))
other_files=$(find_files \( -name '*.py' -o -name '*.pyi' -o -name '*.sh' -o -name '*.mk' \
	-o -name '*.S' -o -name '*.toml' -o -name Makefile -o -path '.ci/*' \))

check_spdx()
{
	for file in "$@"; do
		[ -s "$file" ] || continue
		head -n 2 "$file" | grep -q 'SPDX-License-Identifier: ' ||
			echo "$file:1: no SPDX-License-Identifier in the first two lines"
	done
}

# Columns of C files are clang-format's affair.
check_lengths()
{
	awk -v max_file=$MAX_FILE -v max_columns=$MAX_COLUMNS '
	FNR == max_file + 1 {
		printf "%s:%d: more than %d lines\n", FILENAME, FNR, max_file
	}
	FILENAME !~ /\.[ch]$/ {
		columns = 0
		for (i = 1; i <= length($0); i++)
			columns += substr($0, i, 1) == "\t" ? 8 - columns % 8 : 1
		if (columns > max_columns)
			printf "%s:%d: %d columns, at most %d\n",
				FILENAME, FNR, columns, max_columns
	}' "$@"
}

# A C function of kernel style opens with { and ends with } in the first column.
check_c_functions()
{
	awk -v max=$MAX_FUNCTION '
	FNR == 1 { start = 0 }
	/^[{]/ { start = FNR }
	/^[}]/ && start {
		lines = FNR - start + 1
		if (lines > max)
			printf "%s:%d: function of %d lines, at most %d\n",
				FILENAME, start, lines, max
		start = 0
	}' "$@"
}

check_python_functions()
{
	/usr/bin/python3 - "$MAX_FUNCTION" "$@" <<'PYTHON'
import ast, sys
limit = int(sys.argv[1])
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), path)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            if lines > limit:
                print(f"{path}:{node.lineno}: function of {lines} lines, at most {limit}")
PYTHON
}

check_format()
{
	tool=
	for name in clang-format-$FORMAT_MAJOR clang-format; do
		if command -v $name >/dev/null &&
			$name --version | grep -q "version $FORMAT_MAJOR\."; then
			tool=$name
			break
		fi
	done
	if [ -z "$tool" ]; then
		echo "style: SKIPPED clang-format: needs clang-format $FORMAT_MAJOR" >&2
		return
	fi
	$tool --dry-run -Werror "$@" 2>&1 | grep -E 'error:' || true
}

found=$(
	check_spdx $c_files $other_files
	check_lengths $c_files $other_files
	check_c_functions $c_files
	check_python_functions $(find_files -name '*.py')
	check_format $c_files
)
if [ -n "$found" ]; then
	printf '%s\n' "$found"
	echo "style: $(printf '%s\n' "$found" | wc -l) breaches"
	exit 1
fi
echo "style: ok ($(echo $c_files $other_files | wc -w) files)"
