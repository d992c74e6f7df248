#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What is made from the commands' tables, and committed, is what they make now; manual pages are clean; completions load
# in the shells that they are for, and offer what they should. BUILD is where tload and tload-docs were built.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
export LC_ALL=C.UTF-8

passed=0
failed=0

# check NAME COMMAND...: passes when the command does; what it prints is shown when it does not.
check()
{
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED %s\n%s\n' "$name" "$output"
    fi
}

# same NAME FILE KIND: the committed file is what tload-docs makes.
same()
{
    if [[ $2 == man ]]; then
        check "$1 is up to date (run \"make docs\")" bash -c '"$1/tload-docs" man < "$2" | diff -u "$2" -' - "$BUILD" "$1"
    else
        check "$1 is up to date (run \"make docs\")" bash -c '"$1/tload-docs" "$2" | diff -u "$3" -' - "$BUILD" "$2" "$1"
    fi
}

# offers WORDS... -- CANDIDATE: bash, asked at the end of the words, offers the candidate.
offers()
{
    local words=()

    while [[ $1 != -- ]]; do
        words+=("$1")
        shift
    done
    bash -c '
        . completions/tload.bash
        candidate=$1
        shift
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _tload
        printf "offered: %s\n" "${COMPREPLY[*]}"
        for word in "${COMPREPLY[@]}"; do
            [[ $word == "$candidate" ]] && exit 0
        done
        exit 1' - "$2" "${words[@]}"
}

fish_offers()
{
    fish --no-config -c "source completions/tload.fish; complete -C '$1'" | cut -f1 | grep -qxF -e "$2"
}

# helps COMMAND: its help has every option of the page's section on it, and the words of the summary.
helps()
{
    local section
    section=$(awk -v c=".Ss $1" '$0 == c {on = 1; next} /^\.S[sh] / {on = 0} on' man/tload.1)
    [[ $section ]] || return 1
    "$BUILD/tload" help "$1" > "$scratch/help" || return 1
    "$BUILD/tload" "$1" --help | diff - "$scratch/help" || return 1
    sed -n 's/^\.It .*Fl -\([a-z-]*\).*/--\1/p' <<< "$section" > "$scratch/options"
    while read -r option; do
        grep -q -e "$option\b" "$scratch/help" || { echo "$option is not in the help"; return 1; }
    done < "$scratch/options"
    sed -n '/^Examples:/,$p' "$scratch/help" | grep -q "tload"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

same completions/tload.bash bash
same completions/_tload zsh
same completions/tload.fish fish
same man/tload.1 man
check "every command has an example" test -z "$("$BUILD/tload-docs" examples)"
for page in man/*.[1-9]; do
    check "mandoc -Tlint $page" mandoc -Tlint -W warning "$page"
done
for command in $("$BUILD/tload" --json help | jq -r '.commands[].command'); do
    check "help and page of $command agree" helps "$command"
done
check "bash reads its completion" bash -n completions/tload.bash
check "bash offers commands" offers tload upl -- upload
check "bash offers options" offers tload -q upload --del -- --delimiter
check "bash offers choices behind =" offers tload upload --header = n -- none
check "bash passes over an option's argument" offers tload --coordinator = unix:/x describe --js -- --json
check "bash offers files" offers tload upload cli/comm -- cli/commands
if command -v zsh > /dev/null; then
    check "zsh reads its completion" zsh -n completions/_tload
    check "zsh loads its completion" zsh -fc \
        'fpath=($PWD/completions $fpath); autoload -Uz compinit && compinit -D -u && [[ $_comps[tload] == _tload ]] && autoload +X _tload'
else
    echo "skipped: no zsh here"
fi
if command -v fish > /dev/null; then
    check "fish reads its completion" fish -n completions/tload.fish
    check "fish offers commands" fish_offers 'tload upl' upload
    check "fish offers options" fish_offers 'tload upload --del' --delimiter
    check "fish offers choices" fish_offers 'tload upload --header ' none
else
    echo "skipped: no fish here"
fi

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
