# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the scripts beside this one share. A service keeps everything below its DIR; DIR/pid holds its process ids,
# one a line. A process is only ever signalled while a path below DIR is one of its arguments, so a number that the
# system has given to somebody else meanwhile is left alone.

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

is_port() { [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && (($1 <= 65535)); }

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_ports COUNT [AVOID]: the first of COUNT free ports in a row, which aren't among the COUNT from AVOID on.
# They are below the range that the kernel gives to outgoing connections.
free_ports() {
    local count=$1 avoid=${2:-0} base i
    for _ in {1..200}; do
        base=$((15000 + RANDOM % 15000))
        ((base >= avoid + count || base + count <= avoid)) || continue
        for ((i = 0; i < count; i++)); do
            if accepts $((base + i)); then continue 2; fi
        done
        echo "$base"
        return
    done
    die 'no free port found'
}

# is_ours PID PATH: is there such a process, with PATH among its arguments?
is_ours() {
    [[ $1 =~ ^[0-9]+$ ]] || return 1
    { tr '\0' '\n' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qxF -- "$2"
}

# ended PID: is it gone? One that waits to be reaped is, but not while threads of it still hold its sockets.
ended() {
    local stat fields
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[0]} == [ZX] ]] && ((fields[17] <= 1))
}

# end_process PID PATH SECONDS SIGNAL...: one signal after the other, SECONDS apart, until the process is gone.
end_process() {
    local pid=$1 path=$2 seconds=$3 signal deadline
    shift 3
    for signal in "$@"; do
        is_ours "$pid" "$path" || return 0
        kill -s "$signal" "$pid" 2>/dev/null || true
        deadline=$((SECONDS + seconds))
        # Its arguments go somewhat before it does.
        while ! ended "$pid" && ((SECONDS < deadline)); do
            sleep 0.02
        done
    done
    ! is_ours "$pid" "$path" || die "process $pid does not end"
}

# fail_with_log LOG MESSAGE: shows the end of the service's own log.
fail_with_log() {
    tail -n 25 "$1" >&2 || true
    die "$2; its log: $1"
}

# parse_arguments WORD...: sets action, dir (absolute) and port ('' when not given), and with --nodes N or
# --advertise PORT also nodes or advertise, if the script has such a variable. Uses $usage.
parse_arguments() {
    local positional=()
    while (($# > 0)); do
        if [[ $1 == --nodes && ${nodes+set} && ${2:-} =~ ^[1-9]$ ]]; then
            nodes=$2
            shift
        elif [[ $1 == --advertise && ${advertise+set} ]] && is_port "${2:-}"; then
            advertise=$2
            shift
        elif [[ $1 == -* ]]; then
            usage_error
        else
            positional+=("$1")
        fi
        shift
    done
    action=${positional[0]:-} dir=${positional[1]:-} port=${positional[2]:-}
    case $action:${#positional[@]} in
    fetch:1) return ;;
    start:2 | start:3 | stop:2 | status:2) ;;
    *) usage_error ;;
    esac
    [[ -z $port ]] || is_port "$port" || usage_error
    dir=$(realpath -m -- "$dir")
}

usage_error() {
    # shellcheck disable=SC2154
    printf 'usage: %s %s\n' "${0##*/}" "$usage" >&2
    exit 2
}
