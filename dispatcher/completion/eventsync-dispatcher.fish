# SPDX-License-Identifier: BSD-2-Clause

# Completion for fish.  The options are those of --help.

function __eventsync_dispatcher_complete
    set -l words (commandline -opc)
    set -l token (commandline -ct)
    set -l begun (string match -r -- '^--[^=]*=' $token)
    set -l rest (string sub -s (math 1 + (string length -- "$begun")) -- $token)
    set -l name (string trim -r -c = -- "$begun")

    if test -z "$name"; and not string match -q -- '-*' $token
        set name $words[-1]
    end

    switch $name
        case --store --tls-dir
            printf '%s\n' "$begun"(__fish_complete_directories "$rest")
        case '--*-file'
            printf '%s\n' "$begun"(__fish_complete_path "$rest")
        case --user
            printf '%s\n' "$begun"(__fish_complete_users)
        case --log-level
            printf '%s\n' "$begun"{error,warn,info,debug}
        case --log-format
            printf '%s\n' "$begun"{text,json}
        case --sandbox
            printf '%s\n' "$begun"landlock,seccomp "$begun"{landlock,seccomp,off}
        case --verify-endpoints
            printf '%s\n' "$begun"{off,http,all}
        case '*'
            test -n "$begun"; and return
            $words[1] --help 2>/dev/null \
                | string replace -rf '^  (--[a-z0-9-]+=?).*' '$1'
    end
end

complete -c eventsync-dispatcher -f -k -a '(__eventsync_dispatcher_complete)'
