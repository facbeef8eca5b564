#!/bin/sh
# Draw a picture:  ./start.sh "a red apple"      (from a stick:  sh start.sh "a red apple")
#
#   start.sh [--yes] [--repair] [arguments of nutshell]
#
# The first start prepares a Python environment in .venv beside this file, or in your home where that folder
# cannot hold one; later starts go straight to the program. A start that was broken off is begun again, with what
# it had downloaded. Packages come from the folder wheels/ beside this file if there is one, without any network.
# --yes: install a missing Python or system library without asking.  --repair: prepare everything anew.
set -eu

NEED_MB=800 # measured: 450 MB installed, 130 MB downloaded and as much in pip's cache; byte code comes on top
NEWEST="python3.14 python3.13 python3.12 python3.11 python3.10"
# What only shows when an engine's own libraries are loaded, without running its package's start-up code.
TRIAL='
import ctypes, importlib.util, pathlib, sys
for package in ("numpy", "PIL", "tokenizers", "onnxruntime", "openvino"):
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        continue
    folder = pathlib.Path(found.submodule_search_locations[0])
    for pattern in ("*.so", "_core/*.so", "capi/*.so", "libs/libopenvino.so*"):
        for library in sorted(folder.glob(pattern)):
            try:
                ctypes.CDLL(str(library))
            except OSError as error:
                if "cannot open shared object" in str(error):
                    sys.exit(f"{package}: {error}")
'

# ---- what is said: each sentence stands here in English and in Chinese

chinese=
case ${NUTSHELL_LANG:-${LANGUAGE:-${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}}} in zh* | ZH*) chinese=yes ;; esac

either() { if [ -n "$chinese" ]; then printf '%s' "$2"; else printf '%s' "$1"; fi; }
say() { printf 'nutshell: %s\n' "$(either "$@")" >&2; }
tell() { [ ! -t 2 ] || say "$@"; } # progress, for a person
fail() { # what happened in both languages, then what to do in both
    say "error: $1" "错误：$2"
    [ $# -lt 4 ] || printf '%s\n' "$(either "hint: $3" "提示：$4")" >&2
    exit 1
}

# ---- where things lie

find_here() { # sets here: the folder of this file, or the current one where this file came through a pipe
    self=$0
    case ${0##*/} in
        sh | -sh | dash | -dash | bash | -bash | ash | busybox | ksh | ksh93 | mksh | yash | zsh | -zsh) self= ;;
    esac
    if [ ! -f "$self" ]; then
        piped=yes
        here=$(pwd -P)
        return
    fi
    while [ -L "$self" ]; do # not every system has readlink -f
        link=$(ls -ld -- "$self")
        link=${link#*"$self -> "}
        case $link in /*) self=$link ;; *) self=$(folder_of "$self")/$link ;; esac
    done
    here=$(CDPATH='' cd -- "$(folder_of "$self")" 2>/dev/null && pwd -P) ||
        fail "cannot enter the folder of $self" "无法进入 $self 所在的文件夹"
}

folder_of() { case $1 in */*) printf '%s/' "${1%/*}" ;; *) echo . ;; esac }

find_source() { # sets wheels, kind and wanted: what is installed, from where, and how to see that it changed
    wheels=
    if [ -d "$here/wheels" ]; then wheels=$here/wheels; fi
    if [ -n "$piped" ] && [ -z "$wheels" ] && [ -f "$(first "$here"/nutshell-*.whl)" ]; then wheels=$here; fi

    lock=$here/requirements.lock
    # A wheel folder is enough by itself: the tool that makes it puts the list of packages in.
    if [ -n "$wheels" ] && [ ! -f "$lock" ]; then lock=$wheels/requirements.lock; fi
    wheel=$(last "${wheels:-$here}"/nutshell-*.whl)
    if [ -n "$wheels" ] && [ -f "$wheel" ]; then
        kind=wheel
        content=$(size_of "$wheel")
    elif [ -f "$here/pyproject.toml" ] && [ -e "$here/.git" ]; then
        kind=editable # edits count at once
        content=$here
    elif [ -f "$here/pyproject.toml" ]; then
        kind=copy
        content=$(sizes_in "$here/src")
    elif [ -n "$piped" ]; then
        fail "this script came through a pipe, and the folder $here holds nothing to install" \
            "这个脚本是从管道读入的，而文件夹 $here 里没有可以安装的东西" \
            "go to the folder of Nutshell (or to one that its tools/make_wheels.py made) and run it there: sh start.sh" \
            "进入 Nutshell 的文件夹（或用其中 tools/make_wheels.py 做好的文件夹），在那里运行：sh start.sh"
    else
        fail "$here holds start.sh but nothing to install" "$here 里只有 start.sh，没有可以安装的东西" \
            "copy the whole folder of Nutshell, or a folder wheels/ with it" \
            "请复制整个 Nutshell 文件夹，或把文件夹 wheels/ 也一起复制"
    fi
    [ -f "$lock" ] || fail "requirements.lock is missing in $here" "$here 里缺少 requirements.lock" \
        "copy the whole folder of Nutshell again" "请重新复制整个 Nutshell 文件夹"
    wanted="$kind $content $(cat -- "$here/pyproject.toml" "$lock" 2>/dev/null | cksum)"
}

first() { printf '%s' "$1"; }
last() { while [ $# -gt 1 ]; do shift; done && printf '%s' "$1"; }
# shellcheck disable=SC2012 # what ls says of sizes is read, in the C locale
# By size and not by content, which a slow stick would take seconds to read.
size_of() { LC_ALL=C ls -ln -- "$1" | { read -r _ _ _ _ size _ && echo "${1##*/} $size"; }; }
# shellcheck disable=SC2012
sizes_in() {
    [ -d "$1" ] || return 0
    LC_ALL=C ls -lnR -- "$1" | while read -r _ _ _ _ size _ _ _ name; do
        case $name in '' | *.pyc | __pycache__) ;; *) echo "$name $size" ;; esac
    done | cksum
}

may_hold() { # whether folder $1 (made if need be) can hold an environment: it needs links and runs programs
    (umask 077 && mkdir -p -- "$1") 2>/dev/null || return 1
    probe=$1/.nutshell-probe.$$
    # FAT has no links, a mount may be read-only or noexec. exit 7: that it ran, and not that it was found.
    if ln -s x "$probe.link" 2>/dev/null && { printf '#!/bin/sh\nexit 7\n' >"$probe"; } 2>/dev/null &&
        chmod 700 "$probe" 2>/dev/null; then
        "$probe" 2>/dev/null && ran=0 || ran=$?
    else
        ran=1
    fi
    rm -f -- "$probe" "$probe.link" 2>/dev/null || :
    [ "$ran" = 7 ]
}

mine() { # whether folder $1 is ours alone: others may write in /var/tmp, and could lay out an environment for us
    [ -d "$1" ] && [ ! -L "$1" ] || return 1
    # shellcheck disable=SC2012 # one folder with a plain name
    ls -ldn -- "$1" | { read -r mode _ owner _ && [ "$owner" = "$(id -u)" ] && case $mode in d???------*) : ;; *) false ;; esac }
}

in_home() { printf '%s' "${XDG_DATA_HOME:-${HOME:+$HOME/.local/share}}"; }

name_of() { # an editable environment belongs to one folder; any other serves wherever the stick is mounted
    if [ "$kind" = editable ]; then
        printf 'venv-%s' "$(printf '%s' "$here" | cksum | { read -r sum _ && echo "$sum"; })"
    else
        printf venv
    fi
}

last_resort() { printf '/var/tmp/nutshell-%s' "$(id -u)"; }

find_ready() { # sets place to an environment that is whole
    if is_ready "$here/.venv"; then return 0; fi
    home=$(in_home)
    if [ -n "$home" ] && is_ready "$home/nutshell/$(name_of)"; then return 0; fi
    shared=$(last_resort)
    mine "$shared" && is_ready "$shared/$(name_of)"
}

choose_place() { # sets place: where to prepare an environment
    home=$(in_home)
    place=
    for try in "$here/.venv" "${home:+$home/nutshell/$(name_of)}" "$(last_resort)/$(name_of)"; do
        folder=${try%/*}
        if [ -z "$try" ] || ! may_hold "$folder"; then continue; fi
        if [ "$folder" = "$(last_resort)" ] && ! mine "$folder"; then continue; fi
        if [ -z "$place" ]; then place=$try; fi
        free=$(free_mb "$folder")
        # What an earlier attempt left there will make room.
        if [ -d "$try" ] || [ "${free:-$NEED_MB}" -ge "$NEED_MB" ]; then
            place=$try
            return
        fi
    done
    [ -n "$place" ] ||
        fail \
            "neither $here nor ${home:-your home (HOME is not set)} nor /var/tmp can hold a Python environment (read-only, noexec, or without links)" \
            "${here}、${home:-主目录（没有设置 HOME）}和 /var/tmp 都不能存放 Python 环境（只读、noexec，或不支持链接）" \
            "say where programs may be put:  XDG_DATA_HOME=/some/folder sh start.sh" \
            "请指定可以存放程序的文件夹：XDG_DATA_HOME=/some/folder sh start.sh"
}

# The last thing that is written into an environment is the file .ready: what was installed, and every package's
# folder. One that was broken off, moved, or has lost its Python or a package, is not taken for whole.
is_ready() {
    place=$1
    [ -x "$1/bin/python" ] && [ -f "$1/bin/nutshell" ] && [ -f "$1/.ready" ] || return 1
    {
        read -r made && [ "$made" = "$(stamp)" ] || return 1
        while read -r file; do [ -e "$1/$file" ] || return 1; done
    } <"$1/.ready"
}

stamp() { printf '%s %s' "$wanted" "$place" | cksum; }

# ---- Python and the system

# Run, not only found: a Python may be too old, a stub of the system, or lack the module venv. It names itself by the
# real file with its version in the name: an environment made from /usr/bin/python3 would outlive it and find nothing.
EXAMINE='
import os, sys, venv, ensurepip
if sys.version_info < (3, 10): sys.exit(1)
print("cp%d%d" % sys.version_info[:2], os.path.realpath(sys.executable))'

find_python() { # sets python; the wheels must be for its version
    others=
    for name in python3 $NEWEST python; do
        seen=$("$name" -c "$EXAMINE" 2>/dev/null) || continue
        tag=${seen%% *}
        if [ -z "$wheels" ] || fits "$tag"; then
            python=${seen#* }
            return 0
        fi
        others=$tag
    done
    return 1
}

fits() { # numpy has a wheel of its own for every version
    [ -f "$(first "$wheels"/numpy-*-"$1"-*.whl)" ] || [ ! -f "$(first "$wheels"/numpy-*.whl)" ]
}

versions_in_wheels() {
    for file in "$wheels"/numpy-*-cp3*.whl; do
        tag=${file##*/numpy-*-cp3}
        printf '%s ' "3.${tag%%-*}"
    done
}

manager() {
    for name in apt-get dnf microdnf yum apk pacman zypper brew; do
        if command -v "$name" >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
}

install_command() { # $1: the manager; the rest: packages
    tool=$1
    shift
    case $tool in
        apt-get) echo "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q $*" ;;
        dnf | microdnf | yum) echo "$tool install -y $*" ;;
        apk) echo "apk add $*" ;;
        pacman) echo "pacman -S --noconfirm --needed $* || pacman -Sy --noconfirm --needed $*" ;;
        zypper) echo "zypper --non-interactive install $*" ;;
        brew) echo "brew install $*" ;;
    esac
}

python_command() {
    tool=$(manager)
    case $tool in
        apt-get) install_command "$tool" python3 python3-venv ca-certificates ;;
        dnf | microdnf | yum)
            # Red Hat's python3 is below 3.10 up to version 9, which has newer ones beside it.
            echo "$tool install -y python3.12 || $tool install -y python3.11 || $tool install -y python3"
            ;;
        zypper) echo "zypper --non-interactive install python313 || zypper --non-interactive install python312 || zypper --non-interactive install python311" ;;
        apk | brew) install_command "$tool" python3 ;;
        pacman) install_command "$tool" python ;;
    esac
}

library_package() { # $1: the manager, $2: a library; bare roots lack these now and then
    case $1:$2 in
        apt-get:libstdc++.so* | zypper:libstdc++.so*) echo libstdc++6 ;;
        apt-get:libgcc_s.so*) echo libgcc-s1 ;;
        zypper:libgcc_s.so*) echo libgcc_s1 ;;
        apt-get:libgomp.so* | zypper:libgomp.so*) echo libgomp1 ;;
        apt-get:libatomic.so* | zypper:libatomic.so*) echo libatomic1 ;;
        pacman:libstdc++.so* | pacman:libgcc_s.so* | pacman:libgomp.so* | pacman:libatomic.so*) echo gcc-libs ;;
        *:libstdc++.so*) echo libstdc++ ;;
        *:libgcc_s.so*) echo libgcc ;;
        *:libgomp.so*) echo libgomp ;;
        *:libatomic.so*) echo libatomic ;;
    esac
}

has_terminal() { (: </dev/tty) 2>/dev/null; }

ask() { # $1: a question; answered yes by --yes. The script itself may be what stands in the standard input.
    [ "$yes" = no ] || return 0
    if [ -z "$piped" ] && [ -t 0 ]; then
        printf '%s [Y/n] ' "$1" >&2
        read -r answer || return 1
    elif [ -n "$piped" ] && has_terminal; then
        printf '%s [Y/n] ' "$1" >&2
        read -r answer </dev/tty || return 1
    else
        return 1
    fi
    case $answer in [nN]*) return 1 ;; esac
}

system_install() { # $1, $2: what is lacking, a sentence in both languages; $3: the command that brings it
    case $3 in
        brew*) ;; # Homebrew refuses to run as root
        *)
            [ "$(id -u)" = 0 ] || fail "$1" "$2" \
                "ask an administrator of this machine to run this line, then start again:  sudo sh -c '$3'" \
                "请这台电脑的管理员运行这一行，然后重新启动：  sudo sh -c '$3'"
            ;;
    esac
    say "$1" "$2"
    ask "nutshell: $(either "install it now?" "现在安装吗？")  $3
" || fail "nothing was installed" "什么都没有安装" \
        "run:  $3   (or start again with --yes)" "请运行：  $3   （或加上 --yes 重新启动）"
    tell "installing: $3" "正在安装：$3"
    sh -c "$3" </dev/null >&2 && return
    advise "it needs a network and free space; mend what it says, or run it yourself:  $3" \
        "这需要网络和磁盘空间；请按它的提示处理，或自己运行：  $3"
    if grep -qi '^id=.*ubuntu' /etc/os-release 2>/dev/null; then
        advise "$hint   (on Ubuntu, the part universe must be on:  add-apt-repository universe)" \
            "$hint   （在 Ubuntu 上要先启用 universe：  add-apt-repository universe）"
    fi
    fail "the system's package manager did not install it (its messages stand above)" \
        "系统的软件包管理器没有装上（它的信息在上面）" "$hint" "$hint"
}

need_python() {
    find_python && return
    if [ -n "$others" ]; then
        fail "the folder $wheels holds packages for Python $(versions_in_wheels)and this system has another version" \
            "文件夹 $wheels 里是给 Python $(versions_in_wheels)用的软件包，而这个系统是别的版本" \
            "make the folder again for this one (python3 tools/make_wheels.py --python 3.${others#cp3}), or move it away and start with a network" \
            "请为这个版本重新制作（python3 tools/make_wheels.py --python 3.${others#cp3}），或把它移走后联网启动"
    fi
    needed="Python 3.10 or newer with its module venv is needed, and was not found."
    needed_zh="需要 Python 3.10 或更高版本及其模块 venv，但没有找到。"
    get=$(python_command)
    [ -n "$get" ] || fail "$needed" "$needed_zh" \
        "install it from https://www.python.org/downloads/" "请从 https://www.python.org/downloads/ 安装"
    system_install "$needed" "$needed_zh" "$get"
    find_python || fail \
        "the Python of this system is still older than 3.10, lacks its module venv, or does not fit $here/wheels" \
        "这个系统的 Python 仍然低于 3.10、缺少模块 venv，或与 $here/wheels 不匹配" \
        "install a newer one from https://www.python.org/downloads/" "请从 https://www.python.org/downloads/ 安装更新的版本"
}

# ---- the environment

free_mb() { # of the disk that holds $1; nothing where df does not say
    df -Pk -- "$1" 2>/dev/null | {
        read -r _ && read -r _ _ _ free _ || exit 0
        case $free in '' | *[!0-9]*) ;; *) echo $((free / 1024)) ;; esac
    }
}

prepare() {
    folder=${place%/*}
    rm -f -- "$place/.ready" # first: whatever is killed from here on, this is not taken for whole
    [ ! -d "$place" ] || tell "removing the environment that was there" "正在删除原有的环境"
    rm -rf -- "$place" || fail "cannot remove the broken environment $place" "无法删除损坏的环境 $place" \
        "delete that folder by hand, then start again" "请手动删除这个文件夹，然后重新启动"

    free=$(free_mb "$folder")
    [ "${free:-$NEED_MB}" -ge "$NEED_MB" ] ||
        fail "the disk of $folder has $free MB free, and preparing needs $NEED_MB MB" \
            "$folder 所在的磁盘只剩 $free MB，而准备环境需要 $NEED_MB MB" \
            "free some space there, then start again" "请在那里腾出空间，然后重新启动"

    log=$place.log
    printf '' >"$log" || fail "cannot write $log" "无法写入 $log" \
        "free some space, then start again" "请腾出空间，然后重新启动"
    tell "preparing, once; this takes some minutes (1/3: an environment in $place)" \
        "正在准备，只需一次，要几分钟（1/3：在 $place 建立环境）"
    "$python" -m venv "$place" >>"$log" 2>&1 || broken "$python could not make an environment" "$python 无法建立环境"

    # Not in /tmp: that may be a small part of the memory. Here its space is what was checked above, and it goes
    # away with a broken attempt.
    mkdir -- "$place/tmp"
    TMPDIR=$place/tmp
    export TMPDIR
    if [ -z "${PIP_CACHE_DIR:-}" ] && ! [ -w "${HOME:-/nonexistent}" ]; then
        PIP_CACHE_DIR=$place.cache # what is downloaded survives a break, and goes when all is well
        export PIP_CACHE_DIR
    fi
    unset PIP_TARGET PIP_PREFIX PIP_USER PIP_ROOT PIP_REQUIREMENT PIP_CONSTRAINT PIP_DRY_RUN

    tell "2/3: the packages${wheels:+, from $wheels}" "2/3：软件包${wheels:+，来自 $wheels}"
    pip --require-hashes -r "$lock"
    tell "3/3: nutshell"
    case $kind in
        wheel) pip --no-deps "$wheel" ;;
        editable) pip --no-deps --editable "$here" ;;
        copy) pip --no-deps "$here" ;;
    esac
    try_libraries

    rm -rf -- "$place/tmp" "$place.cache"
    # A machine that is switched off now must not find the mark without what it vouches for.
    "$place/bin/python" -c 'import os; os.sync()' || :
    if ! finish; then broken "the environment could not be finished" "无法完成环境的准备"; fi
    rm -f -- "$log"
}

finish() {
    {
        stamp
        (cd -- "$place" && for file in lib/python*/site-packages/*; do printf '%s\n' "$file" || exit 1; done)
    } >"$place/.ready.new" && mv -f -- "$place/.ready.new" "$place/.ready"
}

pip() {
    # `set --` in a function changes only its own arguments.
    # Not --quiet, which hides why an index was not reached; all of it goes to the log.
    set -- --progress-bar off --no-input --no-compile --disable-pip-version-check "$@"
    if [ -n "$wheels" ]; then set -- --no-index --find-links "$wheels" "$@"; fi
    "$place/bin/python" -m pip install "$@" </dev/null >>"$log" 2>&1 || broken "the packages could not be installed" \
        "无法安装软件包"
}

because() { why=$(either "$@"); }
advise() { hint=$(either "$@"); }

broken() { # $1, $2: what could not be done, in both languages; the log says why
    free=$(free_mb "${place%/*}")
    grep -i 'error\|warning\|retrying' "$log" 2>/dev/null | tail -n 4 >&2 || :
    proxy=${https_proxy:-${HTTPS_PROXY:-${http_proxy:-${HTTP_PROXY:-${all_proxy:-${ALL_PROXY:-}}}}}}
    case $proxy in *@*) proxy=${proxy##*@} ;; esac # without the password
    if grep -qi 'no space left\|disk quota' "$log" || [ "${free:-99}" -lt 8 ]; then
        because "the disk is full (${free:-0} MB were free on it)" "磁盘已满（当时剩 ${free:-0} MB）"
        advise "free $NEED_MB MB" "请腾出 $NEED_MB MB"
    elif grep -qi 'proxyerror\|cannot connect to proxy\|tunnel connection failed\|proxy authentication' "$log"; then
        because "the proxy ${proxy:-of this machine} refused the connection" \
            "代理 ${proxy:-（这台电脑的）} 拒绝了连接"
        advise "correct or remove http_proxy and https_proxy, or ask who runs the proxy" \
            "请改正或删除 http_proxy 和 https_proxy，或询问代理的管理者"
    elif grep -qi 'certificate' "$log"; then
        because "the certificate of the package index was not accepted" "软件包源的证书没有通过验证"
        advise "look at the date of this machine; behind a company's gateway, set PIP_CERT to the file of its certificate" \
            "请检查这台电脑的日期；如果在公司网关后面，请把 PIP_CERT 设为其证书文件"
    elif grep -qi 'do not match the hashes\|hashes are required\|bad magic number\|badzipfile\|is not a zip\|is invalid' "$log"; then
        because "a package is damaged: it is not what was published" "有软件包已损坏，与发布的不同"
        advise "copy or make the folder wheels/ again, or delete pip's cache (${PIP_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/pip})" \
            "请重新复制或制作文件夹 wheels/，或删除 pip 的缓存（${PIP_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/pip}）"
    elif grep -qi 'connection\|timed out\|name resolution\|max retries\|unreachable' "$log"; then
        because "the package index could not be reached" "无法连接软件包源"
        advise "the first start needs a network, or the packages in $here/wheels (tools/make_wheels.py makes that folder)" \
            "首次启动需要网络，或在 $here/wheels 里备好软件包（用 tools/make_wheels.py 制作）"
    elif grep -qi 'no matching distribution' "$log"; then
        because "there is no package for this system ($(uname -sm)) and its Python" \
            "没有适用于这个系统（$(uname -sm)）及其 Python 的软件包"
        advise "all of it: $log" "完整记录：$log"
        if [ -f "$(first /lib/ld-musl-*)" ]; then
            advise "this system is built on musl (Alpine, for one), and OpenVINO and ONNX Runtime are published for glibc only: use Debian, Ubuntu, Fedora, Arch or openSUSE, in a container perhaps" \
                "这个系统使用 musl（例如 Alpine），而 OpenVINO 和 ONNX Runtime 只有 glibc 版本：请用 Debian、Ubuntu、Fedora、Arch 或 openSUSE，也可以用容器"
        elif [ -n "$wheels" ]; then
            advise "make the folder $wheels again for this system (tools/make_wheels.py), or move it away and start with a network" \
                "请为这个系统重新制作文件夹 ${wheels}（tools/make_wheels.py），或把它移走后联网启动"
        elif grep -q 'from versions: none' "$log"; then # some pips say nothing else of an index that does not answer
            advise "or the package index does not answer: look at the network. All of it: $log" \
                "也可能是软件包源没有响应：请检查网络。完整记录：$log"
        fi
    else
        why=
        advise "all of it: $log" "完整记录：$log"
    fi
    rm -rf -- "$place" # gives the space back; what was downloaded stays in pip's cache
    fail "$1${why:+: $why}" "$2${why:+：$why}" "$hint; then start again" "${hint}；然后重新启动"
}

try_libraries() { # the packages' binary parts need a few libraries of the system, and this processor
    installed=
    while :; do
        if said=$("$place/bin/python" -c "$TRIAL" 2>&1); then return; else code=$?; fi
        [ "$code" != 132 ] || broken "this processor lacks instructions that the packages use (illegal instruction)" \
            "这个处理器缺少软件包所用的指令（illegal instruction）"
        library=$(printf '%s\n' "$said" | sed -n 's/.*[ :]\(lib[^ :]*\.so[.0-9]*\): cannot open shared object.*/\1/p')
        printf '%s\n' "$said" >>"$log"
        if [ -z "$library" ] || [ "$library" = "$installed" ]; then
            broken "the packages are installed but do not load" "软件包已安装，但无法加载"
        fi
        installed=$library
        tool=$(manager)
        package=$(library_package "$tool" "$library")
        [ -n "$package" ] || broken "the library $library of the system is missing" "系统缺少库 $library"
        # The environment stays as it is: the next start makes it again, from pip's cache.
        system_install "The library $library of the system is missing." "系统缺少库 ${library}。" \
            "$(install_command "$tool" "$package")"
    done
}

lock_and_prepare() { # two starts at once: the second waits for the first
    [ ! -d "$place.lock" ] || rm -rf -- "$place.lock" # of an earlier version
    (: >>"$place.lock") 2>/dev/null || fail "cannot write in ${place%/*}" "无法写入 ${place%/*}" \
        "start from a folder of yours" "请从你自己的文件夹启动"
    # The lock belongs to the open file, so that it ends with the last process that has it: with this one, or with
    # a pip that a killed start has left behind and that still writes there.
    exec 9>>"$place.lock"
    "$python" -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    if sys.stderr.isatty(): print("nutshell:", sys.argv[1], file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)
except OSError: pass  # a file system without locks
' "$(either "waiting for another start that prepares" "等待另一个启动完成准备")" 9>&9
    if [ "$repair" = yes ] || ! is_ready "$place"; then prepare 9>&9; fi
    exec 9>&-
}

run() {
    # The script stood in the standard input; the program may want to ask something there.
    if [ -n "$piped" ] && has_terminal; then exec "$place/bin/nutshell" "$@" </dev/tty; fi
    exec "$place/bin/nutshell" "$@"
}

main() { # a function, so that all of it is read before anything else reads from the pipe it may come through
    yes=no repair=no piped=
    while :; do
        case ${1:-} in
            --yes) yes=yes ;;
            --repair) repair=yes ;;
            *) break ;;
        esac
        shift
    done
    case " $* " in
        *" --lang zh"* | *" --lang=zh"*) chinese=yes ;;
        *" --lang en"* | *" --lang=en"*) chinese= ;;
    esac
    unset PYTHONHOME PYTHONPATH # set for another Python, they break this one
    find_here
    find_source
    if [ "$repair" = yes ] || ! find_ready; then
        need_python
        choose_place
        lock_and_prepare
    fi
    run "$@"
}

main "$@"
