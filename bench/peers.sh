#!/bin/sh
# Copyright ©2026 The logsoftmax Authors. All rights reserved.
# Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

# Installs the PyTorch, SciPy and scikit-learn of Debian's testing release in a
# folder apart, where `go -C bench run .` finds them:
#
#	bench/peers.sh [-n] [SUITE]
#
# The folder is $LOGSOFTMAX_PEERS or else logsoftmax/peers in the user's cache
# directory, takes 2.5 GB, and is all that is written: `rm -r` undoes it. It
# becomes a Debian system (debootstrap; SUITE other than testing where named) of
# which only its Python is used, by its file python, which enters it with a mount
# namespace of its own. Needs Debian or a descendant and to be root, as chroot
# does. The mirror is the one of this machine's apt. -n prints what would be used
# and does nothing.
set -eu

dry=
if [ "${1-}" = -n ]; then
	dry=1
	shift
fi
suite=${1:-testing}
peers=${LOGSOFTMAX_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/logsoftmax/peers}
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Component: main' | head -n 1)
packages='python3-torch python3-scipy python3-sklearn libopenblas0-openmp'

echo "$suite from $mirror into $peers: $packages" >&2
if [ -n "$dry" ]; then
	exit
fi
if [ -e "$peers/python" ]; then
	echo "$peers is there already" >&2
	exit
fi
if [ -e "$peers" ]; then
	echo "$peers is there, but not complete: remove it first" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "debootstrap needs to be root" >&2
	exit 1
fi
mkdir -p "$peers/logsoftmax"

# debootstrap of this machine, or unpacked into the folder.
tool=$(command -v debootstrap || true)
if [ -z "$tool" ]; then
	(cd "$peers/logsoftmax" && apt-get -o APT::Sandbox::User=root download debootstrap && dpkg-deb -x debootstrap_*.deb .)
	DEBOOTSTRAP_DIR=$peers/logsoftmax/usr/share/debootstrap
	export DEBOOTSTRAP_DIR
	tool=$peers/logsoftmax/usr/sbin/debootstrap
fi
sh "$tool" --variant=minbase "$suite" "$peers" "$mirror"

# How this machine reaches the mirror (a proxy, a clock) holds inside as well.
apt-config dump | grep '^Acquire::' >"$peers/etc/apt/apt.conf.d/99machine" || true
inside() {
	unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$peers" \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}
inside apt-get -q update
# shellcheck disable=SC2086
inside apt-get -q install -y --no-install-recommends $packages
inside apt-get clean

# The temporary directory is the caller's, through which matrices come and go.
# What tells OpenBLAS of a processor other than this one is not passed on.
cat >"$peers/python.new" <<'PYTHON'
#!/bin/sh
# Runs the Python of this folder.
root=$(dirname "$(readlink -f "$0")")
export TMPDIR="${TMPDIR:-/tmp}" PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE PYTHONHOME PYTHONPATH
mkdir -p "$root$TMPDIR"
exec unshare --mount sh -c '
	mount -t proc proc "$0/proc" && mount --rbind /sys "$0/sys" && mount --bind "$TMPDIR" "$0$TMPDIR" &&
		exec chroot "$0" python3 "$@"' "$root" "$@"
PYTHON
chmod +x "$peers/python.new"
"$peers/python.new" -c 'import torch, scipy, sklearn, numpy
print("PyTorch", torch.__version__, "SciPy", scipy.__version__, "scikit-learn", sklearn.__version__, "NumPy", numpy.__version__)'
mv "$peers/python.new" "$peers/python" # the sign that all is there
