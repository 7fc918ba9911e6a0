# SPDX-License-Identifier: BSD-2-Clause

# Completion for fish.  The program itself knows what may follow.

function __eventsyncctl_complete
    set -l words (commandline -opc)
    set -l token (commandline -ct)
    set -l begun (string match -r -- '^--[^=]*=@?|^@' $token)
    set -l rest (string sub -s (math 1 + (string length -- "$begun")) -- $token)

    for line in (eventsyncctl complete $words[2..-1] "$token" 2>/dev/null)
        switch $line
            case ':files'
                printf '%s\n' "$begun"(__fish_complete_path "$rest")
            case ':dirs'
                printf '%s\n' "$begun"(__fish_complete_directories "$rest")
            case ':users'
                printf '%s\n' "$begun"(__fish_complete_users)
            case ':groups'
                printf '%s\n' "$begun"(__fish_complete_groups)
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c eventsyncctl -f -k -a '(__eventsyncctl_complete)'
