# SPDX-License-Identifier: BSD-2-Clause

# Completion for bash.  The program itself knows what may follow.

_eventsyncctl()
{
    local line whole begun part candidate
    local -a words candidates

    # Bash also splits words at "=" and ":", and before "@".  The line is split
    # again at blanks, and bash is told only what is behind its own last split.

    line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<< "$line"
    [[ $line != *[[:space:]] ]] || words+=("")
    whole=${words[-1]}
    part=${COMP_WORDS[COMP_CWORD]}
    [[ $part != *[!=@:]* ]] && part=
    [[ ${whole%"$part"} != *@ ]] || part=@$part
    begun=${whole%"$part"}

    mapfile -t candidates < <(
        eventsyncctl complete "${words[@]:1}" 2>/dev/null)

    COMPREPLY=()
    for candidate in "${candidates[@]}"; do
        case $candidate in
        :files)
            compopt -o filenames
            part=${whole#--*=}
            line=
            [[ $part != @* ]] || line=@
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY \
                < <(compgen -P "$line" -f -- "${part#@}")
            ;;
        :dirs)
            compopt -o filenames
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY \
                < <(compgen -d -- "${whole#--*=}")
            ;;
        :users)
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY \
                < <(compgen -u -- "${whole#--*=}")
            ;;
        :groups)
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY \
                < <(compgen -g -- "${whole#--*=}")
            ;;
        *)
            candidate=${candidate%%$'\t'*}
            [[ $candidate != *= ]] || compopt -o nospace
            COMPREPLY+=("${candidate#"$begun"}")
            ;;
        esac
    done
}

complete -F _eventsyncctl eventsyncctl
