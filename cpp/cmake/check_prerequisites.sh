# Names what Debian's packages must provide before pip can do the rest. PYTHON is the interpreter;
# an SDK is built without-python-dev.
missing=""
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
[ "$1" = without-python-dev ] || "$PYTHON" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
  2>/dev/null || missing="$missing python3-dev"
if command -v g++ >/dev/null; then
  echo '#include <zlib.h>' | g++ -E -x c++ - >/dev/null 2>&1 || missing="$missing zlib1g-dev"
else
  missing="$missing g++ (and zlib1g-dev)"
fi
[ -z "$missing" ] && exit 0
echo "missing:$missing" >&2
echo "install it with: apt-get install python3-venv python3-dev g++ make zlib1g-dev" >&2
exit 1
