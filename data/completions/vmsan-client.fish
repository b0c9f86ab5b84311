# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of vmsan-client for fish.

function __vmsan_names
    vmsan-client $argv list --json --no-ask-password 2>/dev/null | string replace -rf '^ *"(?:id|name)" : "([^"]+)".*' '$1'
end

function __vmsan_in
    set -l words (commandline -opc)
    for i in (seq (count $argv))
        test "$words[(math $i + 1)]" = "$argv[$i]"; or return 1
    end
end

complete -c vmsan-client -f
complete -c vmsan-client -n __fish_use_subcommand -l version -d 'Show the version'
for line in 'create	Create a machine and boot it' 'list	List machines' 'show	Show what is known of machines' \
        'start	Boot stopped machines' 'stop	Shut machines down' 'remove	Remove machines' \
        'timeout	Stop a running machine in a while' 'network	Show or change what a machine may reach' 'exec	Run a program in a machine' \
        'events	Follow what happens to machines' 'plugins	List plugins that are asked first' 'doctor	Examine whether machines can run here' 'image	Images' 'kernel	Kernels' \
        'setup	Install what the service uses'
    set -l parts (string split \t $line)
    complete -c vmsan-client -n __fish_use_subcommand -a $parts[1] -d $parts[2]
end
for group in image kernel
    complete -c vmsan-client -n "__vmsan_in $group; and not __fish_seen_subcommand_from add list remove" -a 'add list remove'
    complete -c vmsan-client -n "__vmsan_in $group remove" -a "(__vmsan_names $group)"
    complete -c vmsan-client -n "__vmsan_in $group add" -F
    complete -c vmsan-client -n "__vmsan_in $group add" -s n -l name -x -d 'Name'
end
complete -c vmsan-client -n '__vmsan_in image add' -l root-owner -d "Make everything root's"
complete -c vmsan-client -n '__vmsan_in kernel add' -l from-host -d 'Take a kernel of this machine'
complete -c vmsan-client -n '__vmsan_in kernel add' -l version -x -d 'What uname -r says'
complete -c vmsan-client -n '__vmsan_in kernel add' -l modules -xa '(__fish_complete_directories)' -d 'Where its modules are'
complete -c vmsan-client -n '__vmsan_in setup; and not __fish_seen_subcommand_from firecracker' -a firecracker
complete -c vmsan-client -n '__vmsan_in setup firecracker' -l from -rF -d 'Archive of a release'
complete -c vmsan-client -n '__vmsan_in setup firecracker' -l sha256 -x -d 'Checksum of the archive'
complete -c vmsan-client -n '__vmsan_in setup firecracker' -l checksum-from -rF -d 'List with the checksum'
complete -c vmsan-client -n '__vmsan_in setup firecracker' -l directory -xa '(__fish_complete_directories)' -d 'Where to install'
complete -c vmsan-client -n '__vmsan_in setup firecracker' -l remove-old -d 'Remove the other versions there'
complete -c vmsan-client -n '__vmsan_in setup firecracker' -s f -l force -d 'Also install an older version'
complete -c vmsan-client -n '__vmsan_in setup firecracker' -s t -l timeout -x -d 'Give up when the server is silent for so long'

for command in show start stop remove timeout network exec events
    complete -c vmsan-client -n "__vmsan_in $command" -a '(__vmsan_names)'
end
complete -c vmsan-client -n '__vmsan_in create' -a '(__vmsan_names image)'
complete -c vmsan-client -n '__vmsan_in create' -s i -l image -xa '(__vmsan_names image)' -d 'Image'
complete -c vmsan-client -n '__vmsan_in create' -s n -l name -x -d 'Name'
complete -c vmsan-client -n '__vmsan_in create' -s k -l kernel -xa '(__vmsan_names kernel)' -d 'Kernel'
complete -c vmsan-client -n '__vmsan_in create' -s c -l cpus -x -d 'Virtual CPUs'
complete -c vmsan-client -n '__vmsan_in create' -s m -l memory -x -d 'Memory'
complete -c vmsan-client -n '__vmsan_in create' -s d -l disk -x -d 'Private disk'
complete -c vmsan-client -n '__vmsan_in create' -s t -l timeout -x -d 'Stop it when it ran this long'
complete -c vmsan-client -n '__vmsan_in create' -l driver -xa 'auto qemu firecracker' -d 'Driver'
complete -c vmsan-client -n '__vmsan_in create' -l hostname -x -d 'Host name in the guest'
complete -c vmsan-client -n '__vmsan_in create' -l init -xa 'auto none' -d 'What runs as init'
complete -c vmsan-client -n '__vmsan_in create' -s l -l label -x -d 'KEY=VALUE'
complete -c vmsan-client -n '__vmsan_in create' -l project -x -d 'Project'
complete -c vmsan-client -n '__vmsan_in create' -l network-policy -xa 'allow-all deny-all custom' -d 'What it may reach'
complete -c vmsan-client -n '__vmsan_in create' -l allowed-domain -x -d 'Name that it may reach'
complete -c vmsan-client -n '__vmsan_in create' -l allowed-cidr -x -d 'Addresses that it may reach'
complete -c vmsan-client -n '__vmsan_in create' -l denied-cidr -x -d 'Addresses that it may not'
complete -c vmsan-client -n '__vmsan_in create' -l publish-port -x -d '[ADDRESS:]PORT:GUEST-PORT[/udp]'
complete -c vmsan-client -n '__vmsan_in create' -l bandwidth -x -d 'Limit in Mbit/s'
complete -c vmsan-client -n '__vmsan_in create' -l no-icmp -d 'Drop pings'
complete -c vmsan-client -n '__vmsan_in create' -l no-network -d 'Loopback only'
complete -c vmsan-client -n '__vmsan_in create' -l no-start -d 'Do not boot it yet'
complete -c vmsan-client -n '__vmsan_in create' -l disable-seccomp -d 'No filter of system calls'
complete -c vmsan-client -n '__vmsan_in create' -l disable-pid-ns -d 'No PID namespace'
complete -c vmsan-client -n '__vmsan_in create' -l disable-cgroup -d 'No limits'
complete -c vmsan-client -n '__vmsan_in create' -l disable-netns -d 'No network namespace'
complete -c vmsan-client -n '__vmsan_in network' -l policy -xa 'allow-all deny-all custom' -d 'What it may reach'
complete -c vmsan-client -n '__vmsan_in network' -l allow-domain -x -d 'Name that may be reached'
complete -c vmsan-client -n '__vmsan_in network' -l allow-cidr -x -d 'Addresses that may be reached'
complete -c vmsan-client -n '__vmsan_in network' -l deny-cidr -x -d 'Addresses that may not'
complete -c vmsan-client -n '__vmsan_in network' -l publish-port -x -d '[ADDRESS:]PORT:GUEST-PORT[/udp]'
complete -c vmsan-client -n '__vmsan_in network' -l bandwidth -x -d 'Limit in Mbit/s'
complete -c vmsan-client -n '__vmsan_in network' -l icmp -d 'Pings follow the policy'
complete -c vmsan-client -n '__vmsan_in network' -l no-icmp -d 'Drop pings'
complete -c vmsan-client -n '__vmsan_in list' -l mine -d 'Only your own machines'
complete -c vmsan-client -n '__vmsan_in list' -s o -l owner -xa '(__fish_complete_users)' -d 'Only this user'
complete -c vmsan-client -n '__vmsan_in list' -s s -l state -xa 'creating stopped starting running paused stopping removing error' -d 'Only in this state'
complete -c vmsan-client -n '__vmsan_in show' -l console -d 'End of the console'
complete -c vmsan-client -n '__vmsan_in stop' -s f -l force -d 'Kill at once'
complete -c vmsan-client -n '__vmsan_in stop' -l deadline -x -d 'How long a guest may take'
complete -c vmsan-client -n '__vmsan_in remove' -s f -l force -d 'Also running or damaged machines'
complete -c vmsan-client -n '__vmsan_in exec' -s e -l env -x -d 'NAME=VALUE'
complete -c vmsan-client -n '__vmsan_in exec' -s w -l workdir -x -d 'Directory'
complete -c vmsan-client -n '__vmsan_in exec' -s u -l user -x -d 'User'
complete -c vmsan-client -n '__vmsan_in exec' -s t -l timeout -x -d 'Kill it when it ran this long'
complete -c vmsan-client -n '__vmsan_in events' -s n -l count -x -d 'End after this many'
complete -c vmsan-client -n '__vmsan_in events' -l since -x -d 'First print what came after this one'
complete -c vmsan-client -n '__vmsan_in events' -s e -l name -x -d 'Only events of this name'
complete -c vmsan-client -n '__vmsan_in doctor' -l repair -d 'Remove what is left of machines that are no more'
complete -c vmsan-client -n 'not __fish_use_subcommand' -l json -d 'Print JSON'
complete -c vmsan-client -n 'not __fish_use_subcommand' -s q -l quiet -d 'Print results and errors only'
complete -c vmsan-client -n 'not __fish_use_subcommand' -l no-ask-password -d 'Fail rather than ask'
complete -c vmsan-client -s h -l help -d 'Show help'
