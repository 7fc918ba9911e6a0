# SPDX-License-Identifier: BSD-2-Clause

# Completion for bash.  The options are those of --help.

_eventsync_dispatcher()
{
    local line name value
    local -a words

    # bash also splits words at "=" and ":"

    line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<< "$line"
    [[ $line != *[[:space:]] ]] || words+=("")
    value=${words[-1]}

    case $value in
    --*=*) name=${value%%=*} value=${value#*=} ;;
    -*)    name= ;;
    *)     name=${words[-2]} ;;
    esac

    COMPREPLY=()

    case $name in
    --store|--tls-dir)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$value") ;;
    --*-file)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$value") ;;
    --user)
        mapfile -t COMPREPLY < <(compgen -u -- "$value") ;;
    --log-level)
        mapfile -t COMPREPLY < <(compgen -W 'error warn info debug' -- "$value") ;;
    --log-format)
        mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$value") ;;
    --sandbox)
        mapfile -t COMPREPLY < <(
            compgen -W 'landlock,seccomp landlock seccomp off' -- "$value") ;;
    --verify-endpoints)
        mapfile -t COMPREPLY < <(compgen -W 'off http all' -- "$value") ;;
    *)
        [[ ${words[-1]} != --*=* ]] || return
        mapfile -t COMPREPLY < <(compgen -W "$("${words[0]}" --help 2>/dev/null \
            | sed -n 's/^  \(--[a-z0-9-]*=\{0,1\}\).*/\1/p')" -- "$value")
        [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace ;;
    esac
}

complete -F _eventsync_dispatcher eventsync-dispatcher
