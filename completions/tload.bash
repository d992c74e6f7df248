# SPDX-License-Identifier: GPL-3.0-or-later
# bash completion for tload, made from the commands' tables by "make docs".

_tload()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' words='' files='' i

    COMPREPLY=()
    # bash cuts --option=argument into three words.
    [[ $cur == = ]] && cur=
    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --coordinator) [[ ${COMP_WORDS[i+1]} == = ]] && ((i++)); ((i++)) ;;
        --tenant) [[ ${COMP_WORDS[i+1]} == = ]] && ((i++)); ((i++)) ;;
        --token-file) [[ ${COMP_WORDS[i+1]} == = ]] && ((i++)); ((i++)) ;;
        -*) ;;
        *) command+=${command:+ }${COMP_WORDS[i]}
            case $command in
            tenant | cluster | token) ;;
            *) break ;;
            esac ;;
        esac
    done
    case "$command $prev" in
    'define-table --key' | 'define-table -k') return ;;
    'define-table --schema') files=1 ;;
    'define-table --infer') files=1 ;;
    'define-table --header') words='match none' ;;
    'define-table --format') words='csv tsv' ;;
    'define-table --delimiter') return ;;
    'define-table --quote') return ;;
    'define-table --null') return ;;
    'describe --version') return ;;
    'describe --diff') return ;;
    'alter --add') return ;;
    'alter --drop') return ;;
    'alter --rename') return ;;
    'alter --type') return ;;
    'alter --default') return ;;
    'alter --no-default') return ;;
    'alter --nullable') return ;;
    'alter --order') return ;;
    'alter --if-version') return ;;
    'upload --table' | 'upload -t') return ;;
    'upload --format') words='csv tsv' ;;
    'upload --delimiter') return ;;
    'upload --quote') return ;;
    'upload --null') return ;;
    'upload --header') words='match skip none' ;;
    'upload --columns') return ;;
    'upload --map') return ;;
    'upload --max-errors') return ;;
    'upload --compression') words='none lz4 zstd' ;;
    'upload --id') return ;;
    'upload --timeout') return ;;
    'resume --timeout') return ;;
    'uploads --table' | 'uploads -t') return ;;
    'uploads --state' | 'uploads -s') words='queued sending processing done done_with_errors failed cancelled aborted' ;;
    'wait --timeout') return ;;
    'errors --limit' | 'errors -n') return ;;
    'tenant create --partitions') return ;;
    'tenant create --cluster') return ;;
    'tenant create --sink') return ;;
    'tenant create --errors') return ;;
    'tenant create --max-uploads') return ;;
    'tenant create --max-bytes') return ;;
    'tenant set --max-uploads') return ;;
    'tenant set --max-bytes') return ;;
    'tenant move --to') return ;;
    'tenant move --timeout') return ;;
    'cluster add --bootstrap') return ;;
    'cluster add --max-partitions') return ;;
    'cluster add --property' | 'cluster add -X') return ;;
    'token create --role') words='reader uploader owner admin' ;;
    'token create --expires') return ;;
    'token create --label') return ;;
    'token create --output' | 'token create -o') files=1 ;;
    *' --coordinator') return ;;
    *' --tenant') return ;;
    *' --token-file') files=1 ;;
    *) case "$command $cur" in
    ' -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    ' '*) words='define-table tables describe alter drop-table upload resume cancel status uploads wait errors tenant cluster token help version' ;;
    'define-table -'*) words='--key --schema --infer --from-sink --adopt --yes --header --format --delimiter --quote --null --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tables -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'describe -'*) words='--version --history --diff --coordinator --tenant --token-file --json --quiet --help ' ;;
    'alter -'*) words='--add --drop --rename --type --default --no-default --nullable --order --if-version --dry-run --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'drop-table -'*) words='--yes --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'upload -'*) words='--table --format --delimiter --quote --null --header --columns --map --max-errors --compression --dry-run --id --once --detach --timeout --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'upload '*) files=1 ;;
    'resume -'*) words='--detach --timeout --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'cancel -'*) words='--detach --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'status -'*) words='--follow --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'uploads -'*) words='--table --state --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'wait -'*) words='--timeout --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'errors -'*) words='--csv --limit --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tenant create -'*) words='--partitions --cluster --sink --errors --max-uploads --max-bytes --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tenant create '*) return ;;
    'tenant list -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tenant list '*) return ;;
    'tenant show -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tenant show '*) return ;;
    'tenant set -'*) words='--max-uploads --max-bytes --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tenant set '*) return ;;
    'tenant move -'*) words='--to --cancel --detach --timeout --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tenant move '*) return ;;
    'tenant remove -'*) words='--yes --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tenant remove '*) return ;;
    'cluster add -'*) words='--bootstrap --max-partitions --property --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'cluster add '*) return ;;
    'cluster list -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'cluster list '*) return ;;
    'cluster show -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'cluster show '*) return ;;
    'cluster drain -'*) words='--undo --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'cluster drain '*) return ;;
    'cluster remove -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'cluster remove '*) return ;;
    'token create -'*) words='--role --expires --label --output --coordinator --tenant --token-file --json --quiet --help --version' ;;
    'token create '*) return ;;
    'token list -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'token list '*) return ;;
    'token revoke -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'token revoke '*) return ;;
    'help -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'help '*) words='define-table tables describe alter drop-table upload resume cancel status uploads wait errors tenant cluster token help version' ;;
    'version -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tenant -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'tenant '*) words='create list show set move remove' ;;
    'cluster -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'cluster '*) words='add list show drain remove' ;;
    'token -'*) words='--coordinator --tenant --token-file --json --quiet --help --version' ;;
    'token '*) words='create list revoke' ;;
    esac ;;
    esac
    if [[ $files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    fi
}
complete -F _tload tload
