# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of vmsan-client for bash.

# Ids and names of what there is; silent when the service does not answer.
_vmsan_client_names()
{
  vmsan-client $1 list --json --no-ask-password 2>/dev/null |
    sed -n 's/^ *"\(id\|name\)" : "\([^"]*\)".*/\2/p'
}

_vmsan_client()
{
  local cur prev words cword i command='' sub='' behind=0
  local common='--help --json --quiet --no-ask-password'

  cur=${COMP_WORDS[COMP_CWORD]}
  prev=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()

  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -*) ;;
      *)
        if [ -z "$command" ]; then command=${COMP_WORDS[i]}
        elif [ -z "$sub" ] && [[ $command = image || $command = kernel || $command = setup ]]; then sub=${COMP_WORDS[i]}
        else behind=$((behind + 1)); fi ;;
    esac
  done

  case $prev in
    --image | -i) [ "$command" = create ] && COMPREPLY=($(compgen -W "$(_vmsan_client_names image)" -- "$cur")) && return ;;
    --kernel | -k) COMPREPLY=($(compgen -W "$(_vmsan_client_names kernel)" -- "$cur")); return ;;
    --driver) COMPREPLY=($(compgen -W 'auto qemu firecracker' -- "$cur")); return ;;
    --policy | --network-policy) COMPREPLY=($(compgen -W 'allow-all deny-all custom' -- "$cur")); return ;;
    --init) COMPREPLY=($(compgen -W 'auto none' -- "$cur")); return ;;
    --state | -s) COMPREPLY=($(compgen -W 'creating stopped starting running paused stopping removing error' -- "$cur")); return ;;
    --owner | -o) COMPREPLY=($(compgen -u -- "$cur")); return ;;
    --from | --checksum-from) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --modules | --directory) COMPREPLY=($(compgen -d -- "$cur")); return ;;
  esac

  case $command/$sub in
    /) COMPREPLY=($(compgen -W 'create list show start stop remove timeout network exec events plugins doctor image kernel setup --help --version' -- "$cur")); return ;;
    image/ | kernel/) COMPREPLY=($(compgen -W 'add list remove' -- "$cur")); return ;;
    setup/) COMPREPLY=($(compgen -W 'firecracker' -- "$cur")); return ;;
  esac

  if [[ $cur = -* ]]; then
    case $command/$sub in
      create/) common+=' --image --name --kernel --cpus --memory --disk --timeout --driver --hostname --init --label --project --network-policy --allowed-domain --allowed-cidr --denied-cidr --publish-port --bandwidth --no-icmp --no-network --no-start --disable-seccomp --disable-pid-ns --disable-cgroup --disable-netns' ;;
      list/) common+=' --mine --owner --state' ;;
      show/) common+=' --console' ;;
      stop/) common+=' --force --deadline' ;;
      remove/) common+=' --force' ;;
      network/) common+=' --policy --allow-domain --allow-cidr --deny-cidr --publish-port --bandwidth --icmp --no-icmp' ;;
      exec/) common+=' --env --workdir --user --timeout' ;;
      events/) common+=' --count --name --since' ;;
      doctor/) common+=' --repair' ;;
      image/add) common+=' --name --root-owner' ;;
      kernel/add) common+=' --from-host --name --version --modules' ;;
      setup/firecracker) common+=' --from --sha256 --checksum-from --directory --remove-old --force --timeout' ;;
    esac
    COMPREPLY=($(compgen -W "$common" -- "$cur"))
    return
  fi

  case $command/$sub in
    create/) COMPREPLY=($(compgen -W "$(_vmsan_client_names image)" -- "$cur")) ;;
    show/ | start/ | stop/ | remove/ | events/) COMPREPLY=($(compgen -W "$(_vmsan_client_names)" -- "$cur")) ;;
    timeout/ | network/ | exec/) [ $behind = 0 ] && COMPREPLY=($(compgen -W "$(_vmsan_client_names)" -- "$cur")) ;;
    image/remove) COMPREPLY=($(compgen -W "$(_vmsan_client_names image)" -- "$cur")) ;;
    kernel/remove) COMPREPLY=($(compgen -W "$(_vmsan_client_names kernel)" -- "$cur")) ;;
    image/add | kernel/add) COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -F _vmsan_client vmsan-client
