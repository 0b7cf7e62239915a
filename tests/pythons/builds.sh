#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Pythons that no Debian release has, built from Debian's sources of Python, each in a folder of its
# own below build/pythons.
#
#   builds.sh make NAME...    makes what is not there yet (minutes each); a second time nothing
#   builds.sh names           what it can make
#   builds.sh compiler NAME   what it is built with, and its extension modules
#
# build/pythons/NAME/bin/python is the interpreter, build/pythons/packages what all of them take
# from PyPI (pytest, waitress; no compiled code), build/pythons/sources/pythonVERSION what was
# unpacked, or put there. PYTHONS=dir puts all of it elsewhere. Needs the mirror that apt uses and
# `contrib/debian-packages.sh pythons`; no root.
#
# Alpine is Python linked with musl; here it is built by Debian's musl-gcc, and so is libffi, which
# _ctypes needs. musl-gcc knows none of the kernel's headers: links lead to them.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd -P)
pythons=${PYTHONS:-$checkout/build/pythons}
jobs=${BUILD_JOBS:-$(nproc)}

# NAME VERSION COMPILER SUITES CONFIGURE-OPTIONS; the first suite that the mirror has is taken.
builds()
{
	cat <<-END
	3.13t 3.13 cc trixie --disable-gil
	3.13td 3.13 cc trixie --disable-gil --with-pydebug
	3.13-musl 3.13 musl-gcc trixie
	3.14t 3.14 cc forky,sid --disable-gil
	3.14td 3.14 cc forky,sid --disable-gil --with-pydebug
	3.14-musl 3.14 musl-gcc forky,sid
	END
}

say()
{
	echo "pythons: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

# field NAME NUMBER: of its row; 5 is the rest of it
field()
{
	builds | awk -v name="$1" -v n="$2" '
		$1 == name { if (n == 5) { $1 = $2 = $3 = $4 = ""; print } else print $n }'
}

mirror_find()
{
	apt-get indextargets --format '$(LABEL) $(SITE)' 'Created-By: Packages' |
		awk '$1 == "Debian" { print $2; exit }'
}

# source_fetch PACKAGE SUITES: its upstream source, unpacked as sources/PACKAGE, unless it is there
source_fetch()
{
	folder=$pythons/sources/$1
	[ ! -e "$folder" ] || return 0
	mirror=$(mirror_find)
	[ -n "$mirror" ] || die "apt has no Debian mirror on its lists: apt-get update"
	rm -rf "$folder.new"
	mkdir -p "$folder.new/lists/partial" "$folder.new/cache/archives/partial" \
		"$folder.new/source"
	cd "$folder.new"
	apt="-qq -o Dir::Etc::SourceList=$PWD/sources.list -o Dir::Etc::SourceParts=/dev/null
		-o Dir::State::Lists=$PWD/lists -o Dir::Cache=$PWD/cache -o APT::Sandbox::User=root"
	for suite in $(echo "$2" | tr , ' '); do
		echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
			"$mirror $suite main" >sources.list
		apt-get $apt update && apt-get $apt source --download-only "$1" && break
	done
	tar -C source --strip-components=1 -xf ./*.orig.tar.*z
	mv source "$folder"
	rm -rf "$folder.new"
}

# The kernel's headers for a compiler that knows only musl's.
kernel_headers()
{
	mkdir -p "$1"
	ln -sfn /usr/include/linux "$1/linux"
	ln -sfn /usr/include/asm-generic "$1/asm-generic"
	ln -sfn "/usr/include/$(cc -print-multiarch)/asm" "$1/asm"
}

# libffi_make FOLDER PREFIX
libffi_make()
{
	source_fetch libffi bookworm
	mkdir "$1/libffi"
	cd "$1/libffi"
	CC=musl-gcc CPPFLAGS="-idirafter $1/include" "$pythons/sources/libffi/configure" \
		--prefix="$2" --libdir="$2/lib" --disable-shared --with-pic --disable-docs \
		--disable-multi-os-directory
	make -j"$jobs"
	make install
}

# musl_settings FOLDER PREFIX: what configure is told for musl, in the environment. It takes the
# triplet that musl-gcc prints, which is of the other C library, for a contradiction.
musl_settings()
{
	compiler=$1/musl-cc
	printf '#!/bin/sh\n[ "$1" = --print-multiarch ] || exec musl-gcc "$@"\n' >"$compiler"
	chmod +x "$compiler"
	export PKG_CONFIG_LIBDIR="$2/lib/pkgconfig" LDFLAGS="-L$2/lib"
	export CPPFLAGS="-idirafter $1/include -I$2/include"
}

# build_make NAME FOLDER PREFIX: in FOLDER, which exists
build_make()
{
	version=$(field "$1" 2) compiler=$(field "$1" 3)
	if [ "$compiler" = musl-gcc ]; then
		kernel_headers "$2/include"
		(libffi_make "$2" "$3")
		musl_settings "$2" "$3"
	fi
	(source_fetch "python$version" "$(field "$1" 4)")
	mkdir "$2/python"
	cd "$2/python"
	CC=$compiler "$pythons/sources/python$version/configure" -q --prefix="$3" \
		--with-ensurepip=no --disable-test-modules $(field "$1" 5)
	make -s -j"$jobs"
	make -s install
	ln -sfn "python$version" "$3/bin/python"
}

python_make()
{
	folder=$pythons/$1
	log=$pythons/$1.log
	[ -n "$(field "$1" 2)" ] || die "no build $1 is known: add a line to builds()"
	if [ -e "$folder/.made" ]; then
		say "$1 is there: $folder"
		return
	fi
	say "$1: Python $(field "$1" 2) by $(field "$1" 3)$(field "$1" 5) into $folder (log $log)"
	rm -rf "$folder" "$folder.src"
	mkdir -p "$folder.src"
	if ! build_log "$1" "$folder" >"$log" 2>&1; then
		tail -n 5 "$log" >&2
		die "no $1: the log says why: $log"
	fi
	rm -rf "$folder.src"
	touch "$folder/.made"
}

# In a shell of its own, which ends at what fails first.
build_log()
{
	PYTHONS=$pythons sh -eu "$0" build "$1" "$2"
}

packages_make()
{
	[ ! -e "$pythons/packages/.made" ] || return 0
	/usr/bin/python3 -m pip -q install --target "$pythons/packages" --python-version 3.11 \
		--only-binary=:all: pytest waitress
	touch "$pythons/packages/.made"
}

verb=${1:-}
[ -z "$verb" ] || shift
case $verb in
make)
	mkdir -p "$pythons"
	packages_make
	for name in "$@"; do
		python_make "$name"
	done
	;;
build) build_make "$1" "$2.src" "$2" ;;
compiler) field "$1" 3 ;;
names) builds | awk '{ print $1 }' ;;
*)
	sed -n 's/^# \{0,1\}//; 4,9p' "$0" >&2
	exit 2
	;;
esac
