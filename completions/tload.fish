# SPDX-License-Identifier: GPL-3.0-or-later
# fish completion for tload, made from the commands' tables by "make docs".

complete -c tload -f
complete -c tload -l coordinator -x -d 'where the coordinator answers: unix:/path, http://host:port or https://host:port'
complete -c tload -l tenant -x -d 'whose tables and uploads these are'
complete -c tload -l token-file -r -F -d 'file with the token that the coordinator asks for'
complete -c tload -l json -d 'write JSON: one object, or one a line'
complete -c tload -s q -l quiet -d 'no progress and no notes on standard error, only errors'
complete -c tload -s h -l help -d 'show help, of the command when one is named'
complete -c tload -n 'not begin; __fish_seen_subcommand_from describe; end' -l version -d 'show the version'

complete -c tload -n __fish_use_subcommand -a define-table -d 'define a table'
complete -c tload -n '__fish_seen_subcommand_from define-table' -s k -l key -x -d 'columns that tell one row from another'
complete -c tload -n '__fish_seen_subcommand_from define-table' -l schema -r -F -d 'take columns and key from a file, as describe --json writes it'
complete -c tload -n '__fish_seen_subcommand_from define-table' -l infer -r -F -d 'guess columns and key from the start of a CSV file, and print the command'
complete -c tload -n '__fish_seen_subcommand_from define-table' -l from-sink -d 'take columns and key from the table of this name in the data sink, and print the command'
complete -c tload -n '__fish_seen_subcommand_from define-table' -l adopt -d 'take over a table that is in the data sink already, when it agrees with the definition'
complete -c tload -n '__fish_seen_subcommand_from define-table' -s y -l yes -d 'with --infer or --from-sink: define it, too'
complete -c tload -n '__fish_seen_subcommand_from define-table' -l header -x -a 'match none' -d 'with --infer: none when the file has no header'
complete -c tload -n '__fish_seen_subcommand_from define-table' -l format -x -a 'csv tsv' -d 'how the file is written: csv (default), or tsv, which is csv with tabs'
complete -c tload -n '__fish_seen_subcommand_from define-table' -l delimiter -x -d 'what stands between fields: one character, or "tab"'
complete -c tload -n '__fish_seen_subcommand_from define-table' -l quote -x -d 'what stands around quoted fields: one character, or "none"'
complete -c tload -n '__fish_seen_subcommand_from define-table' -l null -x -d 'an unquoted field of just this text is null (default: an empty one)'

complete -c tload -n __fish_use_subcommand -a tables -d 'list the tables'

complete -c tload -n __fish_use_subcommand -a describe -d 'show a table\'s columns and key, or its history'
complete -c tload -n '__fish_seen_subcommand_from describe' -l version -x -d 'this version instead of the current one'
complete -c tload -n '__fish_seen_subcommand_from describe' -l history -d 'all versions: when, by whom, and what they changed'
complete -c tload -n '__fish_seen_subcommand_from describe' -l diff -x -d 'what differs between two versions'

complete -c tload -n __fish_use_subcommand -a alter -d 'change a table\'s columns'
complete -c tload -n '__fish_seen_subcommand_from alter' -l add -x -d 'a new column, as define-table takes it'
complete -c tload -n '__fish_seen_subcommand_from alter' -l drop -x -d 'take a column away, with its values'
complete -c tload -n '__fish_seen_subcommand_from alter' -l rename -x -d 'give a column another name'
complete -c tload -n '__fish_seen_subcommand_from alter' -l type -x -d 'a wider type'
complete -c tload -n '__fish_seen_subcommand_from alter' -l default -x -d 'the value of rows that come without one'
complete -c tload -n '__fish_seen_subcommand_from alter' -l no-default -x -d 'take a column\'s default away'
complete -c tload -n '__fish_seen_subcommand_from alter' -l nullable -x -d 'let a column be null'
complete -c tload -n '__fish_seen_subcommand_from alter' -l order -x -d 'put these columns first, in this order'
complete -c tload -n '__fish_seen_subcommand_from alter' -l if-version -x -d 'only when the table is at this version'
complete -c tload -n '__fish_seen_subcommand_from alter' -l dry-run -d 'say what would happen to the table and to the uploads under way, and do nothing'

complete -c tload -n __fish_use_subcommand -a drop-table -d 'remove a table and its rows'
complete -c tload -n '__fish_seen_subcommand_from drop-table' -s y -l yes -d 'do not ask'

complete -c tload -n __fish_use_subcommand -a upload -d 'load CSV files into a table'
complete -c tload -n '__fish_seen_subcommand_from upload' -s t -l table -x -d 'the table that the rows go into'
complete -c tload -n '__fish_seen_subcommand_from upload' -l format -x -a 'csv tsv' -d 'how the file is written: csv (default), or tsv, which is csv with tabs'
complete -c tload -n '__fish_seen_subcommand_from upload' -l delimiter -x -d 'what stands between fields: one character, or "tab"'
complete -c tload -n '__fish_seen_subcommand_from upload' -l quote -x -d 'what stands around quoted fields: one character, or "none"'
complete -c tload -n '__fish_seen_subcommand_from upload' -l null -x -d 'an unquoted field of just this text is null (default: an empty one)'
complete -c tload -n '__fish_seen_subcommand_from upload' -l header -x -a 'match skip none' -d 'first record: match (default) its names to columns, skip it, or none'
complete -c tload -n '__fish_seen_subcommand_from upload' -l columns -x -d 'which columns the fields are, with --header=skip or none'
complete -c tload -n '__fish_seen_subcommand_from upload' -l map -x -d 'the field named CSV in the header is the column COL; may be repeated'
complete -c tload -n '__fish_seen_subcommand_from upload' -l max-errors -x -d 'abort when more than N rows, or N % of the rows, are rejected'
complete -c tload -n '__fish_seen_subcommand_from upload' -l compression -x -a 'none lz4 zstd' -d 'of what is sent to Kafka: none, lz4 or zstd'
complete -c tload -n '__fish_seen_subcommand_from upload' -s n -l dry-run -d 'read and check everything, send nothing, change nothing'
complete -c tload -n '__fish_seen_subcommand_from upload' -l id -x -d 'the upload\'s id, instead of a new one'
complete -c tload -n '__fish_seen_subcommand_from upload' -l once -d 'do nothing when this file, unchanged, is loaded already'
complete -c tload -n '__fish_seen_subcommand_from upload' -s d -l detach -d 'end when all is sent; print the upload\'s id, and do not wait for the outcome'
complete -c tload -n '__fish_seen_subcommand_from upload' -l timeout -x -d 'wait so long for the outcome, then end with 124; the upload goes on'
complete -c tload -n '__fish_seen_subcommand_from upload' -F

complete -c tload -n __fish_use_subcommand -a resume -d 'go on with an upload that was interrupted'
complete -c tload -n '__fish_seen_subcommand_from resume' -s d -l detach -d 'end when all is sent; print the upload\'s id, and do not wait for the outcome'
complete -c tload -n '__fish_seen_subcommand_from resume' -l timeout -x -d 'wait so long for the outcome, then end with 124; the upload goes on'

complete -c tload -n __fish_use_subcommand -a cancel -d 'stop an upload; what was applied of it stays'
complete -c tload -n '__fish_seen_subcommand_from cancel' -s d -l detach -d 'do not wait until it has stopped'

complete -c tload -n __fish_use_subcommand -a status -d 'show how an upload is, or how everything is'
complete -c tload -n '__fish_seen_subcommand_from status' -s f -l follow -d 'show how the upload goes until it ends, and end with its outcome'

complete -c tload -n __fish_use_subcommand -a uploads -d 'list the uploads, newest first'
complete -c tload -n '__fish_seen_subcommand_from uploads' -s t -l table -x -d 'only those into this table'
complete -c tload -n '__fish_seen_subcommand_from uploads' -s s -l state -x -a 'queued sending processing done done_with_errors failed cancelled aborted' -d 'only those in this state'

complete -c tload -n __fish_use_subcommand -a wait -d 'wait for an upload to end, and end with its outcome'
complete -c tload -n '__fish_seen_subcommand_from wait' -l timeout -x -d 'wait no longer than this, then end with 124; the upload goes on'

complete -c tload -n __fish_use_subcommand -a errors -d 'show the rows of an upload that were rejected, and why'
complete -c tload -n '__fish_seen_subcommand_from errors' -l csv -d 'the rejected records as they were, behind the header: ready to be corrected'
complete -c tload -n '__fish_seen_subcommand_from errors' -s n -l limit -x -d 'no more than the first N'

complete -c tload -n __fish_use_subcommand -a tenant -d 'who has tables and topics of his own'
complete -c tload -n '__fish_seen_subcommand_from tenant; and not __fish_seen_subcommand_from create list show set move remove' -a create -d 'make a tenant, with topics of its own on one of the clusters'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from create' -l partitions -x -d 'of each of its three topics; it can\'t be changed later'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from create' -l cluster -x -d 'where it is to live; by default on the cluster with most partitions free'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from create' -l sink -x -d 'where its rows go, instead of the coordinator\'s sink'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from create' -l errors -x -d 'where its rejected rows go, instead of the coordinator\'s error store'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from create' -l max-uploads -x -d 'uploads that send at a time, the others wait for their turn; 0: no limit'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from create' -l max-bytes -x -d 'bytes a second that its uploads send together, with K, M or G behind; 0: no limit'

complete -c tload -n '__fish_seen_subcommand_from tenant; and not __fish_seen_subcommand_from create list show set move remove' -a list -d 'list the tenants, where they live, and what they wait for'

complete -c tload -n '__fish_seen_subcommand_from tenant; and not __fish_seen_subcommand_from create list show set move remove' -a show -d 'show a tenant: its cluster, sink, limits and state'

complete -c tload -n '__fish_seen_subcommand_from tenant; and not __fish_seen_subcommand_from create list show set move remove' -a set -d 'change the limits of a tenant'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from set' -l max-uploads -x -d 'uploads that send at a time, the others wait for their turn; 0: no limit'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from set' -l max-bytes -x -d 'bytes a second that its uploads send together, with K, M or G behind; 0: no limit'

complete -c tload -n '__fish_seen_subcommand_from tenant; and not __fish_seen_subcommand_from create list show set move remove' -a move -d 'move a tenant to another cluster, while it is used'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from move' -l to -x -d 'where it is to live'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from move' -l cancel -d 'take a move back that is not done; it stays where it lives'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from move' -l detach -d 'do not wait for the move; it goes on'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from move' -l timeout -x -d 'wait no longer than this, then end with 124; the move goes on'

complete -c tload -n '__fish_seen_subcommand_from tenant; and not __fish_seen_subcommand_from create list show set move remove' -a remove -d 'remove a tenant with its topics; its rows stay in the data sink'
complete -c tload -n '__fish_seen_subcommand_from tenant; and __fish_seen_subcommand_from remove' -s y -l yes -d 'do not ask'

complete -c tload -n __fish_use_subcommand -a cluster -d 'the Kafka clusters that tenants live on'
complete -c tload -n '__fish_seen_subcommand_from cluster; and not __fish_seen_subcommand_from add list show drain remove' -a add -d 'add a Kafka cluster, so that tenants are placed on it'
complete -c tload -n '__fish_seen_subcommand_from cluster; and __fish_seen_subcommand_from add' -l bootstrap -x -d 'where brokers of it answer'
complete -c tload -n '__fish_seen_subcommand_from cluster; and __fish_seen_subcommand_from add' -l max-partitions -x -d 'its budget: what all tenants on it together may have'
complete -c tload -n '__fish_seen_subcommand_from cluster; and __fish_seen_subcommand_from add' -s X -l property -x -d 'a property of librdkafka, as security.protocol=sasl_ssl'

complete -c tload -n '__fish_seen_subcommand_from cluster; and not __fish_seen_subcommand_from add list show drain remove' -a list -d 'list the clusters, and what is free on them'

complete -c tload -n '__fish_seen_subcommand_from cluster; and not __fish_seen_subcommand_from add list show drain remove' -a show -d 'show a cluster: its budget, what is reserved, and what is really there'

complete -c tload -n '__fish_seen_subcommand_from cluster; and not __fish_seen_subcommand_from add list show drain remove' -a drain -d 'place no more tenants on a cluster'
complete -c tload -n '__fish_seen_subcommand_from cluster; and __fish_seen_subcommand_from drain' -l undo -d 'place tenants there again'

complete -c tload -n '__fish_seen_subcommand_from cluster; and not __fish_seen_subcommand_from add list show drain remove' -a remove -d 'forget a cluster that no tenant lives on'

complete -c tload -n __fish_use_subcommand -a token -d 'what those show who are not trusted for where they come from'
complete -c tload -n '__fish_seen_subcommand_from token; and not __fish_seen_subcommand_from create list revoke' -a create -d 'make a token, and show its secret this once'
complete -c tload -n '__fish_seen_subcommand_from token; and __fish_seen_subcommand_from create' -l role -x -a 'reader uploader owner admin' -d 'what it may do: reader, uploader, owner or admin'
complete -c tload -n '__fish_seen_subcommand_from token; and __fish_seen_subcommand_from create' -l expires -x -d 'it ends in so many s, m, h, d or w, as in 30d; by default never'
complete -c tload -n '__fish_seen_subcommand_from token; and __fish_seen_subcommand_from create' -l label -x -d 'what it is for; shown wherever it did something'
complete -c tload -n '__fish_seen_subcommand_from token; and __fish_seen_subcommand_from create' -s o -l output -r -F -d 'a new file for the secret, of mode 0600'

complete -c tload -n '__fish_seen_subcommand_from token; and not __fish_seen_subcommand_from create list revoke' -a list -d 'list the tokens: what each may, whose it is, who made it'

complete -c tload -n '__fish_seen_subcommand_from token; and not __fish_seen_subcommand_from create list revoke' -a revoke -d 'end a token, at once'

complete -c tload -n __fish_use_subcommand -a help -d 'show the commands, or one command\'s options and examples'
complete -c tload -n '__fish_seen_subcommand_from help' -a 'define-table tables describe alter drop-table upload resume cancel status uploads wait errors tenant cluster token help version'

complete -c tload -n __fish_use_subcommand -a version -d 'show the version'
