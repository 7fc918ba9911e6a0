#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Installs, uses, upgrades, removes and purges the packages, as an administrator
# would.  t/debian.sh runs it in a fresh tree of Debian, in namespaces of its
# own, without a network.  No systemd runs there: nginx is started by its init
# script, and the dispatcher by the line of its unit.
#
#     t/package.pl PACKAGES [NEXT]
#
# NEXT has the packages of the next version.  Without it, the packages get
# another version without a build: only the digits of the version differ.

use warnings;
use strict;

use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(sleep);

my ($packages, $next) = map { abs_path($_) } @ARGV;
my $dir = tempdir(CLEANUP => 1);
my $store = '/var/lib/eventsync';
my $keys = '/etc/eventsync/secret-keys';
my $units = '/usr/lib/systemd/system';
my @programs = qw(libnginx-mod-http-eventsync eventsync-dispatcher
    eventsync-tools);
my @all = (@programs, qw(libeventsync-dev eventsync-doc));
my @groups = ('eventsync', map { "eventsync-$_" }
    qw(publish manage ack pages delivery keys));
my %text = map { $_ => slurp("docs/$_.md") } qw(install operations);
my (@children, %service);

$ENV{DEBIAN_FRONTEND} = 'noninteractive';
delete @ENV{qw(EVENTSYNC_STORE EVENTSYNC_KEY_FILE)};
write_file('/etc/apt/apt.conf.d/90yes', qq(APT::Get::Assume-Yes "true";\n)
    . qq(APT::Install-Recommends "false";\n));
# Without systemd, invoke-rc.d runs init scripts where a policy permits it.
write_file('/usr/sbin/policy-rc.d', "#!/bin/sh\nexit 0\n");
chmod 0755, '/usr/sbin/policy-rc.d';
ok_run('ip link set lo up');
$next //= repacked("$dir/next", '9.1.0');
my ($old_version, $new_version) = map {
    `dpkg-deb -f $_/eventsync-tools_*.deb Version` =~ s/\n//r
} $packages, $next;

fresh_installation();
purge_of_an_unused_store();
quick_start();
the_unit();
sandbox();
upgrade();
configuration_that_nginx_refuses();
refused_store();
remove_and_install_again();
purge_of_a_used_store();

stop_all();
done_testing();

END { kill TERM => @children if @children }

###############################################################################
# helpers

sub slurp { my ($name) = @_; open my $fh, '<:raw', $name or die "$name: $!\n";
    local $/; return <$fh> }

sub write_file {
    my ($name, $text) = @_;
    open my $fh, '>', $name or die "$name: $!\n";
    print $fh $text;
    close $fh or die "$name: $!\n";
}

# Exit status and output of a command of the shell.
sub run {
    my ($command) = @_;
    my $pid = open my $fh, '-|', 'sh', '-c', "exec 2>&1\n$command" or die;
    my $out = do { local $/; <$fh> } // '';
    close $fh;
    return ($? >> 8, $out);
}

sub ok_run {
    my ($command, $name) = @_;
    my ($rc, $out) = run($command);
    is($rc, 0, $name // $command) or diag($out);
    return $out;
}

# A process in the background writes to a file, so that no pipe stays open.
sub start {
    my ($log, @command) = @_;
    write_file($log, '');
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        open STDOUT, '>>', $log or die;
        open STDERR, '>&', \*STDOUT or die;
        exec @command or die "@command: $!\n";
    }
    push @children, $pid;
    return $pid;
}

sub stop {
    my ($pid) = @_;
    kill TERM => $pid;
    waitpid $pid, 0;
    @children = grep { $_ != $pid } @children;
}

sub wait_for {
    my ($condition) = @_;
    for (1 .. 200) {
        return 1 if $condition->();
        sleep .1;
    }
    return 0;
}

sub files { my ($from, @names) = @_;
    return join ' ', map { glob "$from/${_}_*.deb" } @names }
sub install { return ok_run('apt-get install -q ' . files($_[0], @all), $_[1]) }
sub version_of { return `dpkg-query -W -f '\${db:Status-Abbrev} \${Version}' $_[0]`
    =~ s/^ii *//r }
sub owner { my @stat = stat $_[0] or return "no $_[0]";
    return sprintf '%s:%s %04o', (getpwuid $stat[4])[0], (getgrgid $stat[5])[0],
        $stat[2] & 07777 }
sub groups_of { return join ' ', sort split ' ', `id -nG $_[0]` }
sub master { return -s '/run/nginx.pid' ? slurp('/run/nginx.pid') + 0 : 0 }
sub leftovers { return join '', sort grep { !m{^/(?:src|tmp)/} }
    `find / -xdev \\( -path /var/cache/apt -o -path /proc -o -path /sys \\) -prune -o -name '*eventsync*' -print` }

# Names, modes, sizes, times and contents.
sub state_of {
    return ok_run("find @_ -printf '%p %m %u %g %s %T@\\n' | sort\n"
        . "find @_ -type f -exec sha256sum {} + | sort", "the state of @_");
}

# The n-th block of commands, or of another language, under a heading.
sub block {
    my ($page, $heading, $n, $language) = @_;
    $language //= 'sh';
    my ($section) = $text{$page} =~ /^#+ \Q$heading\E\n(.*?)(?=^##|\z)/ms
        or die "$page has no $heading\n";
    my @blocks = $section =~ /^```$language\n(.*?)^```\n/msg;
    return $blocks[$n // 0] // die "$heading of $page has no block $n\n";
}

# The same packages with the digits of another version.
sub repacked {
    my ($to, $version) = @_;
    mkdir $to or die;
    for my $deb (glob "$packages/*.deb") {
        next if $deb =~ /-dbgsym_/;
        my $tree = "$dir/tree";
        system('rm', '-rf', $tree);
        system('dpkg-deb', '-R', $deb, $tree) == 0 or die;
        my $control = slurp("$tree/DEBIAN/control");
        my ($old) = $control =~ /^Version: ([\d.]+)/m or die;
        length $old == length $version or die "$old and $version\n";
        write_file("$tree/DEBIAN/control", $control =~ s/\Q$old\E\+/$version+/gr);
        for my $file (glob "$tree/usr/*bin/* $tree/usr/lib/nginx/modules/*") {
            my $mode = (stat $file)[2] & 07777;
            write_file($file, slurp($file) =~ s/\Q$old\E/$version/gr);
            chmod $mode, $file;
        }
        system("dpkg-deb -Znone -b $tree $to >/dev/null") == 0 or die;
    }
    return $to;
}

###############################################################################
# what the service manager does

# The line of the unit, with the options of a drop-in.
sub start_dispatcher {
    my $unit = "$units/eventsync-dispatcher.service";
    my $text = join '', map { slurp($_) } $unit,
        glob '/etc/systemd/system/eventsync-dispatcher.service.d/*.conf';
    my ($line) = reverse $text =~ /^ExecStart=(.+)$/mg;
    my ($options) = reverse $text =~ /^Environment="?DISPATCHER_OPTIONS=(.*?)"?$/mg;
    my ($user) = $text =~ /^User=(.+)$/m;
    $line =~ s/\$DISPATCHER_OPTIONS/$options/;
    stop($service{dispatcher}) if $service{dispatcher};
    return $service{dispatcher} = start("$dir/dispatcher.log", 'setpriv',
        "--reuid=$user", "--regid=$user", '--init-groups', split ' ', $line);
}

sub stop_all {
    run('invoke-rc.d nginx stop');
    stop($_) for @children;
    %service = ();
}

###############################################################################
# tests

sub fresh_installation {
    my $said = install($packages, 'the packages are installed');
    is(version_of($_), $old_version, "$_ is") for @all;

    ok(getgrnam $_, "group $_") for @groups;
    is(groups_of('www-data'), 'eventsync www-data', 'nginx may only read');
    is(groups_of('eventsync'), 'eventsync eventsync-keys eventsync-publish',
        'the dispatcher has its groups');
    is(join(' ', (getpwnam 'eventsync')[7, 8]), '/nonexistent /usr/sbin/nologin',
        'and is a system user');

    is(groups_of('eventsync-probe'), 'eventsync-probe',
        'the probe has none of them');

    is(owner('/etc/eventsync'), 'root:eventsync-keys 0750', 'directory of keys');
    is(owner($keys), 'root:eventsync-keys 0640', 'key file');
    like(slurp($keys), qr{\A[A-Za-z0-9+/]{43}=\n\z}, 'with a key of 32 bytes');
    rights();

    ok_run('! runuser -u www-data -- cat /etc/eventsync/secret-keys',
        'nginx cannot read the key');
    my @may = sort split /\n/, ok_run('runuser -u www-data '
        . "-- find $store -writable 2>/dev/null || :", 'what nginx may write');
    is_deeply(\@may, [ sort map { "$store/$_" } 'bell', 'encrypted',
        (map { "$_/lock.mdb" } qw(checkpoints log registry)), 'used' ], 'is what readers need');
    ok_run("! runuser -u nobody -- ls $store", 'others may not enter the store');

    my $link = '/etc/nginx/modules-enabled/50-mod-http-eventsync.conf';
    is(readlink $link, '/usr/share/nginx/modules-available/mod-http-eventsync.conf',
        'the module is enabled');
    ok(wait_for(sub { master() }), 'nginx runs') or diag($said);
    ok(wait_for(sub { slurp('/proc/' . master() . '/maps')
        =~ /ngx_http_eventsync_module\.so$/m }), 'and has loaded the module');
    ok_run('zcat /usr/share/doc/eventsync-tools/changelog.gz | head -n 1 | '
        . "grep -F '$old_version'", 'the changelog has the version');
    my $docs = '/usr/share/doc/eventsync-doc/docs';
    is(`find $docs -name '*.gz'`, '', 'the files that pages name are plain');
    ok(-s "$docs/alerts.yml", '... such as the alerts');
}

# The table of docs/operations.md.
sub rights {
    my ($table) = $text{operations}
        =~ /sets exactly this:\n\n\|.*?\n\|[-|]+\n(.*?)\n\n/s or die;
    for my $row (split /\n/, $table) {
        my ($path, $user, $group, $mode, $files) = map { tr/`//dr }
            $row =~ /^\| (.*?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$/ or die $row;
        $user = 'eventsync' if $user eq 'dispatcher';
        is(owner("$store/$path"), "$user:$group $mode", "$path");
        my ($all) = $files =~ /^(\d{4})/;
        my %mode = $files =~ /([a-z.]+) (\d{4})/g;
        for my $file ($path eq '.' ? map { "$store/$_" } sort keys %mode
            : glob "$store/$path*")
        {
            my ($name) = $file =~ m{([^/]+)$};
            is(owner($file), "$user:$group " . ($mode{$name} // $all), $file);
        }
    }
}

sub purge_of_an_unused_store {
    ok_run("apt-get purge @all", 'all is purged');
    is(leftovers(), '', 'with the store, which was not used');
    is(groups_of('www-data'), 'www-data', 'nginx has none of the groups');
    ok(getgrnam $_, "the group $_ stays") for @groups;
    ok(wait_for(sub { slurp('/proc/' . master() . '/maps') }), 'nginx runs');
}

# docs/install.md by packages, to the letter.
sub quick_start {
    write_file("$dir/service", "#!/bin/sh\nexec invoke-rc.d \"\$@\"\n");
    mkdir "$dir/release";
    ok_run("cp $packages/*.deb $dir/release/", 'the packages of a release');
    ok_run("cd $dir/release\n" . block('install', 'Packages')
        . block('install', 'Packages', 1), 'docs/install.md installs them');
    is(groups_of('www-data'), 'eventsync eventsync-publish www-data',
        'and lets nginx publish');
    write_file('/etc/nginx/conf.d/eventsync.conf',
        block('install', 'nginx', 0, 'nginx'));
    ok_run('nginx -t', 'nginx accepts it');
    ok_run(block('install', 'nginx'), 'nginx is restarted');
    my $key = (ok_run(block('install', 'The first partner'),
        'a partner with a key') =~ /(esk_\S+)/)[0] or BAIL_OUT('no key');
    $service{key} = $key;

    my $curl = block('install', 'Publish and poll') =~ s/^KEY=.*/KEY=$key/r;
    my $out = ok_run($curl =~ s/^curl /curl -s /mgr, 'publish and poll');
    like($out, qr/\{"results":\[.*"duplicate":false.*"id":"evt-1".*"next"/s,
        'an event is published and polled')
        or diag(slurp('/var/log/nginx/error.log'));

    my $webhook = 'The first webhook';
    ok_run(block('install', $webhook) =~ s/^systemctl .*\n//mgr,
        'the dispatcher may send to this machine');
    start_dispatcher();
    my ($name, $whsec) = ok_run('export EVENTSYNC_STORE=/var/lib/eventsync '
        . "EVENTSYNC_KEY_FILE=$keys\n" . block('install', $webhook, 1),
        'an endpoint') =~ /(ep_\S+) (whsec_\S+)/ or BAIL_OUT('no endpoint');
    my ($secret, $listen) = block('install', $webhook, 2) =~ /^(.*\n)(.*\n)\z/;
    ok_run($secret =~ s/whsec_…/$whsec/r, 'its secret is stored');
    $service{listen} = start("$dir/listen.log", 'sh', '-c', "exec $listen");
    ok(wait_for(sub { `ss -Hltn 'sport = 9000'` }), 'a receiver listens');
    ok_run($curl =~ s/^curl /curl -s /mgr =~ s/evt-1/evt-2/r,
        'another event is published');
    ok(wait_for(sub { slurp("$dir/listen.log") =~ /^webhook .*order\.paid/m }),
        'and the first verified webhook comes') or diag(
        slurp("$dir/listen.log"), slurp("$dir/dispatcher.log"));
    ok_run("export EVENTSYNC_STORE=$store EVENTSYNC_KEY_FILE=$keys\n"
        . block('install', $webhook, 3) =~ s/ep_…/$name/r
        =~ s/^systemctl .*\n//mgr, 'all of that is taken back');
    start_dispatcher();
    ok_run("eventsyncctl --store=$store --key-file=$keys verify",
        'the store has no faults');
}

sub the_unit {
    my $unit = "$units/eventsync-dispatcher.service";
    my ($rc, $out) = run("systemd-analyze verify --man=no $unit");
    is($out, '', 'systemd understands the unit');
    my $probe = "$units/eventsync-probe.timer";
    is(`systemd-analyze verify --man=no $probe 2>&1`, '', 'and the timer');
    ok(!-e '/etc/systemd/system/timers.target.wants/eventsync-probe.timer',
        'which the administrator enables');
    my ($level) = $text{operations} =~ /exposure\s+level\s+of\s+(\d+\.\d)/;
    my $said = `systemd-analyze security --offline=yes --no-pager $unit`;
    like($said, qr/: \Q$level\E (?:OK|SAFE)/,
        'its exposure level is that of docs/operations.md');
}

# The packages' own test, and what the dispatcher does meanwhile: the unit must
# permit it.
sub sandbox {
    stop($service{dispatcher});
    local $ENV{DISPATCHER_UNDER} = "strace -D -f -qq -o $dir/trace";
    write_file("$dir/trace", '');
    ok_run("chown eventsync $dir/trace; chmod 711 $dir", 'a file for strace');
    ok_run('sh debian/tests/publish-poll-webhook', 'the packages\' own test');
    my $trace = slurp("$dir/trace");
    my $unit = "$units/eventsync-dispatcher.service";
    my $text = slurp($unit);

    my %may;
    for ($text =~ /^SystemCallFilter=(.*)/mg) {
        my ($not, $sets) = /^(~?)(.*)/;
        for my $call (map { calls($_) } split ' ', $sets) {
            $not ? delete $may{$call} : ($may{$call} = 1);
        }
    }
    my %does = map { $_ => 1 } $trace =~ /^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)/mg;
    cmp_ok(scalar keys %does, '>', 30, 'strace has seen system calls');
    is_deeply([ sort grep { !$may{$_} } keys %does ], [],
        'the unit permits each of them');

    my ($families) = $text =~ /^RestrictAddressFamilies=(.*)/m;
    my %family = map { $_ => 1 } $trace =~ /\bsocket\((AF_\w+)/g;
    ok($family{AF_INET} && $family{AF_NETLINK}, 'and socket families');
    is_deeply([ grep { $families !~ /\b$_\b/ } sort keys %family ], [],
        'the unit permits each of them');

    my @exec = grep { /PROT_WRITE[^,]*PROT_EXEC|\bmprotect\(.*PROT_EXEC/ }
        split /\n/, $trace;
    is_deeply(\@exec, [], 'it makes no memory executable');
    my %wrote = map { $_ => 1 } grep { !m{^(?:\Q$store\E/|/dev/null$)} }
        $trace =~ /open(?:at)?\([^"]*"([^"]*)", [^)]*O_(?:WRONLY|RDWR|CREAT)\b/g;
    is_deeply([ sort keys %wrote ], [], 'and writes only to the store');
    start_dispatcher();
}

# The system calls of a set, and of those in it.
sub calls {
    my ($set) = @_;
    return $set if $set !~ /^@/;
    return map { calls($_) } grep { !/^#/ } map { s/^ +//r }
        grep { /^ / } split /\n/, `systemd-analyze --no-pager syscall-filter $set`;
}

# The status of a poll.
sub serves {
    my $url = 'http://127.0.0.1:8080/v1/feeds/orders/events?from=oldest&limit=1';
    return `curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer $service{key}' '$url'`;
}

sub upgrade {
    write_file('/etc/nginx/conf.d/metrics.conf', <<'CONF');
server {
    listen 127.0.0.1:8081;
    location /ops/ { eventsync_metrics on; eventsync_auth off; }
}
CONF
    my $build = sub { `curl -s http://127.0.0.1:8081/ops/metrics`
        =~ /^eventsync_build_info\{version="(.*?)"\}/m ? $1 : '' };
    ok_run('adduser --quiet www-data eventsync-delivery', 'nginx has metrics');
    ok_run('invoke-rc.d nginx restart', 'after a restart');
    ok(wait_for(sub { $build->() }), 'which tell the version');
    my ($old, $new) = map { s/\+.*//r } $old_version, $new_version;
    is($build->(), $old, 'of the module');

    # The administrator's decisions.
    ok_run('gpasswd -d www-data eventsync-publish', 'nginx publishes no more');
    ok_run("sed -i '/eventsync_publish/d' /etc/nginx/conf.d/eventsync.conf",
        'nor does it try');
    my $key = slurp($keys);
    my $rights = "find $store -printf '%p %m %u %g\\n' | sort";
    my $before = ok_run($rights, 'the rights of the store');

    my $first = master();
    my $requests = start("$dir/requests.log", 'sh', '-c', 'while :; do '
        . "curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:8081/ops/metrics; done");
    ok(wait_for(sub { -s "$dir/requests.log" }), 'clients send requests');
    install($next, 'the packages are upgraded');
    is(version_of($_), $new_version, "$_ is") for @all;
    ok(wait_for(sub { $build->() eq $new && !-e '/run/nginx.pid.oldbin' }),
        'the new module answers') or diag($build->());
    isnt(master(), $first, 'by a new master');
    stop($requests);
    my %status = map { $_ => 1 } split /\n/, slurp("$dir/requests.log");
    is_deeply([ sort keys %status ], [200], 'no request failed meanwhile');

    is(groups_of('www-data'), 'eventsync eventsync-delivery www-data',
        'the groups are as the administrator left them');
    is(slurp($keys), $key, 'and so is the key');
    is(serves(), 200, 'the store is served');
    is(ok_run($rights, 'its rights'), $before, 'have not changed');
    start_dispatcher();
    ok_run("eventsyncctl --store=$store --key-file=$keys verify",
        'which the new version reads');
}

sub configuration_that_nginx_refuses {
    write_file('/etc/nginx/conf.d/wrong.conf', "eventsync_wrong on;\n");
    my $first = master();
    my ($rc, $out) = run('apt-get install --reinstall -q '
        . files($next, $programs[0]));
    is($rc, 0, 'the module is installed with a wrong nginx.conf');
    like($out, qr/libnginx-mod-http-eventsync: nginx goes on with the old/,
        'it says that the old module goes on');
    is(master(), $first, 'which is so');
    unlink '/etc/nginx/conf.d/wrong.conf';
}

sub refused_store {
    my $format = slurp("$store/format");
    my $programs = '/usr/bin/eventsyncctl /usr/sbin/eventsync-dispatcher '
        . '/usr/lib/nginx/modules/ngx_http_eventsync_module.so';
    ok_run("sed -i 's/^eventsync-store .*/eventsync-store 3/' $store/format",
        'a store of an older format');
    my $before = state_of($programs, "$store/format $store/log $keys");
    my %pid = (nginx => master(), dispatcher => $service{dispatcher});

    for my $case ([ $packages, 'an older version' ], [ $next, 'the same' ]) {
        my ($from, $name) = @$case;
        my ($rc, $out) = run('dpkg -i ' . files($from, @programs));
        isnt($rc, 0, "$name is refused");
        like($out, qr/^\Q$_\E: "$store" is a store of format 3\.$/m,
            "$_ says why") for @programs;
        like($out, qr/read format 4/, 'and what it reads');
        is(version_of($_), $new_version, "$_ is as it was") for @programs;
    }
    is(state_of($programs, "$store/format $store/log $keys"), $before,
        'no file has changed');
    is(master(), $pid{nginx}, 'nginx goes on');
    ok(kill(0, $pid{dispatcher}), 'and so does the dispatcher');

    my ($user, $group, $mode) = owner("$store/format") =~ /(.*):(.*) (.*)/;
    write_file("$store/format", $format);
    is(owner("$store/format"), "$user:$group $mode", 'the store is back');
    ok_run('dpkg --audit', 'and dpkg has nothing to repair');
}

sub remove_and_install_again {
    unlink glob '/etc/nginx/conf.d/*.conf';
    system('rm', '-r', '/etc/systemd/system/eventsync-dispatcher.service.d');
    my $before = state_of("$store/format $store/registry/data.mdb $keys");
    stop($service{$_}) for qw(dispatcher listen);
    ok_run("apt-get remove @all", 'all is removed');
    ok(!-e '/etc/nginx/modules-enabled/50-mod-http-eventsync.conf',
        'the module is disabled');
    ok_run('nginx -t', 'nginx can start without it');
    is(state_of("$store/format $store/registry/data.mdb $keys"), $before,
        'store and keys stay');
    install($next, 'all is installed again');
    is(state_of("$store/format $store/registry/data.mdb $keys"), $before,
        'store and keys are the same');
    ok(-e '/etc/nginx/modules-enabled/50-mod-http-eventsync.conf',
        'the module is enabled');
    ok_run("sh debian/tests/publish-poll-webhook", 'everything works again');
}

sub purge_of_a_used_store {
    my $before = state_of("$store/format $store/log/data.mdb $keys");
    my $out = ok_run("apt-get purge @all", 'all is purged');
    like($out, qr/^eventsync-tools: $store and $keys stay/m,
        'it says that the store stays, which was used');
    is(state_of("$store/format $store/log/data.mdb $keys"), $before, 'it does');

    install($next, 'all is installed again');
    is(state_of("$store/format $store/log/data.mdb $keys"), $before,
        'with the same store');
    ok_run("echo eventsync-tools eventsync-tools/remove-store boolean true"
        . ' | debconf-set-selections', 'debconf is told otherwise');
    ok_run("apt-get purge @all", 'all is purged');
    is(leftovers(), '', 'with the store and the key');
}
