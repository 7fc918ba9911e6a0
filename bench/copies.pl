# SPDX-License-Identifier: BSD-2-Clause

# The benchmarks of copies of a whole store, for bench/run: backup, restore,
# import and verify.  Each is compared with a program that moves or reads the
# same bytes, or with publishing the same events.

use warnings;
use strict;

use Time::HiRes qw(sleep time);

our ($t, $build, $rounds, $seconds, %opt, $unique);

# A copy is large, so a short form has fewer events.
sub copied_events {
    return $opt{events} || ($opt{quick} ? 1_000_000 : 10_000_000);
}

# Seconds that a command takes, which must succeed.
sub took {
    my (@cmd) = @_;
    my $began = time();
    system(@cmd) == 0 or die "@cmd failed\n";
    return time() - $began;
}

sub ctl_took {
    my ($store, @args) = @_;
    return took("$build/eventsyncctl", '--quiet', '--store', $store, @args);
}

# The files of a backup or store that are compared.
sub data_files {
    my ($of) = @_;
    return grep { -e } map { "$of/$_/data.mdb" }
        qw(log registry delivery checkpoints);
}

sub data_bytes {
    my $bytes = 0;
    $bytes += -s $_ for data_files(@_);
    return $bytes;
}

sub removed { Bench::remove_tree($_[0]) if -e $_[0] }

# One directory for the results of the commands, which print a line each.
sub silently {
    my ($code) = @_;
    open my $out, '>&', \*STDOUT or die;
    open STDOUT, '>', '/dev/null' or die;
    my $value = eval { $code->() };
    my $error = $@;
    open STDOUT, '>&', $out or die;
    die $error if $error;
    return $value;
}

# A backup, against cp of the same bytes, both until they are on disk.  Then
# publishing beside a slow backup, against publishing beside dd.
sub backup {
    my ($key) = serve(0, main => ' ');
    $t->feed('history');
    program($build, 'grow', '--store', $t->store, '--feed', 'history',
        '--events', copied_events(), '--size', 40);
    my ($backup, $copy) = map { $t->testdir . "/$_" } qw(backup copy);

    silently(sub { ctl_took($t->store, 'backup', $backup) });
    my $bytes = data_bytes($backup);
    printf "  %d events are %.1f MB\n", copied_events(), $bytes / 1e6;

    my $v = alternate($rounds,
        ours => sub {
            removed($backup);
            return $bytes / 1e6
                / silently(sub { ctl_took($t->store, 'backup', $backup) });
        },
        cp => sub {
            removed($copy);
            return $bytes / 1e6 / took('sh', '-c',
                "cp -r --reflink=never '$backup' '$copy' && "
                . "sync '$copy'/*/data.mdb");
        });
    table('MB/s', ['backup', $v->{ours}], ['cp and sync', $v->{cp}]);
    verdict('backup (cp)', ratio($v->{ours}, $v->{cp}), '>= 0.7');
    removed($copy);
    beside_backup($key, $backup);
}

# Copies a file as dd does, ten pieces a second.
sub slow_dd {
    my ($from, $to, $rate) = @_;
    my $piece = int($rate / 10);
    for (my $i = 0; ; $i++) {
        my $due = time() + 0.1;
        system('dd', "if=$from", "of=$to", "bs=$piece", 'count=1',
            'conv=notrunc', 'status=none', map { "$_=$i" } qw(skip seek)) == 0
            or POSIX::_exit(1);
        $i = -1 if ($i + 1) * $piece >= -s $from;
        sleep $due - time() if $due > time();
    }
}

sub beside_backup {
    my ($key, $backup) = @_;
    my $rate = 20 << 20;
    my $publish = request_file($key, 1);
    my ($slow, $copy) = map { $t->testdir . "/$_" } qw(slow copied);
    my (%p50);

    my $one = sub {
        my ($name, $code) = @_;
        system("rm -rf '$slow' '$slow'.* '$copy'");
        my $end = $code ? aside($code) : sub { };
        sleep 0.5;
        my $r = steady($publish, 1000, '--start', $unique)->();
        $unique = $r->{next};
        $end->();
        push @{ $p50{$name} }, $r->{p50_us};
        return $r->{p99_us};
    };
    my %side = (
        alone => sub { $one->('alone') },
        backup => sub { $one->('backup', sub {
            exec "$build/eventsyncctl", '--store', $t->store, 'backup',
                "--rate=$rate", $slow;
        }) },
        dd => sub { $one->('dd', sub {
            slow_dd((data_files($backup))[0], $copy, $rate);
        }) },
    );

    $side{$_}->() for qw(alone backup);     # the first round warms caches
    %p50 = ();

    my $v = alternate($rounds, %side);
    table('us, p99 of 1,000 publishes a second',
        ['alone', $v->{alone}],
        ['beside a backup at 20 MB/s', $v->{backup}],
        ['beside dd at 20 MB/s', $v->{dd}]);
    table('us, p50', map { [$_, $p50{$_}] } qw(alone backup dd));
    system("rm -rf '$slow' '$slow'.* '$copy'");
    verdict('backup (publish)', ratio($v->{backup}, $v->{dd}), '<= 1.2');
}

# A restore, and an import, against publishing as `publish-batch` does it.
sub restore {
    my $n = copied_events();
    my ($key) = serve(0, main => ' ');
    my $from = $t->testdir . '/from';
    my $to = $t->testdir . '/to';
    my ($backup, $file) = map { $t->testdir . "/$_" } qw(backup export);
    my $request = request_file($key, 1000);
    my $imports = 0;

    {
        local $t->{store} = $from;
        $t->store_init->feed('bench');
    }
    program($build, 'grow', '--store', $from, '--feed', 'bench', '--events', $n,
        '--size', 40);
    silently(sub { ctl_took($from, 'backup', $backup) });
    took('sh', '-c', "'$build/eventsyncctl' --store '$from' export bench "
        . ">'$file'");
    removed($from);
    publish_rate($request, 4, 1000);        # fills caches
    printf "  an event is %d bytes, and one that is published %d\n",
        (-s $file) / $n, stored_size($key);

    # as many events, because a burst of seconds fits into the page cache
    local $seconds = POSIX::ceil($n / 800_000) > $seconds
        ? POSIX::ceil($n / 800_000) : $seconds;

    # What one side has left to be written must not slow the next one down.
    my $v = alternate($rounds,
        restore => sub {
            removed($to);
            took('sync');
            return $n / silently(sub { ctl_took('', 'restore',
                '--erasures=none', $backup, $to) });
        },
        import => sub {
            my $feed = 'imported-' . ++$imports;
            $t->feed($feed);
            took('sync');
            my $took = silently(sub { ctl_took($t->store, 'import', $feed,
                $file) });
            silently(sub { ctl_took($t->store, 'feed', 'remove', $feed) });
            return $n / $took;
        },
        publish => sub { took('sync'); publish_rate($request, 4, 1000) });
    table('events/s', ['restore, and verify', $v->{restore}],
        ['import', $v->{import}],
        ['publish, 4 connections, 1,000 a request', $v->{publish}]);
    removed($to);
    verdict('restore (restore)', ratio($v->{restore}, $v->{publish}), '>= 0.8');
    verdict('restore (import)', ratio($v->{import}, $v->{publish}), '>= 0.8');
}

# verify, against sha256sum of the same files.
sub verify {
    $t->store_init->feed('bench');
    program($build, 'grow', '--store', $t->store, '--feed', 'bench', '--events',
        copied_events(), '--size', 40);
    my $bytes = data_bytes($t->store);
    printf "  %d events are %.1f MB\n", copied_events(), $bytes / 1e6;

    my $v = alternate($rounds,
        ours => sub { $bytes / 1e6
            / silently(sub { ctl_took($t->store, 'verify') }) },
        sha256sum => sub { $bytes / 1e6
            / silently(sub { took('sha256sum', data_files($t->store)) }) });
    table('MB/s', ['verify', $v->{ours}], ['sha256sum', $v->{sha256sum}]);
    verdict('verify', ratio($v->{ours}, $v->{sha256sum}), '>= 0.5');
}

# The same of the audit, in a registry that has little else.
sub audit_verify {
    my $n = $opt{events} || ($opt{quick} ? 100_000 : 1_000_000);
    $t->store_init;
    program($build, 'entries', '--store', $t->store, '--n', $n);
    my $file = $t->store . '/registry/data.mdb';
    my ($used) = $t->ctl_ok(qw(audit verify --quiet --json))
        =~ /"registry": ?\{[^}]*"bytes": ?(\d+)/ or die;
    printf "  %d entries are %.1f MB, in a file of %.1f MB\n", $n, $used / 1e6,
        (-s $file) / 1e6;

    # only the entries count, but sha256sum has to read the rest as well
    my $v = alternate($rounds,
        ours => sub { $used / 1e6
            / silently(sub { ctl_took($t->store, qw(audit verify)) }) },
        sha256sum => sub { (-s $file) / 1e6
            / silently(sub { took('sha256sum', $file) }) });
    table('MB/s', ['audit verify', $v->{ours}],
        ['sha256sum', $v->{sha256sum}]);
    verdict('audit-verify', ratio($v->{ours}, $v->{sha256sum}), '>= 0.5');
}

1;
