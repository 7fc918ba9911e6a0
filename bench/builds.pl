# SPDX-License-Identifier: BSD-2-Clause

# Compares this build with an earlier one, for bench/run: `bench/run builds
# --before DIR`, where DIR is the build directory of the earlier checkout.  Both
# builds serve stores of the same contents and are measured in turn in one run,
# so that the ratio does not depend on the load of the machine.

use warnings;
use strict;

our ($t, $build, $rounds, $seconds, %opt);

sub builds {
    my $before = $opt{before} or die "builds: --before DIR is required\n";
    my %dirs = (now => $build, before => Cwd::abs_path($before));
    my %work = (
        'poll-page'      => \&polled,
        'publish-single' => sub { published(64, 1, @_) },
        'publish-batch'  => sub { published(4, 1000, @_) },
        'dispatch'       => \&dispatched,
        'wake'           => \&woken,
    );
    my @names = $opt{work} ? split /,/, $opt{work} : sort keys %work;

    for my $dir (values %dirs) {
        -x "$dir/eventsync-dispatcher" or die "builds: no build in $dir\n";
    }
    for my $work (@names) {
        my $measure = $work{$work} or die "builds: unknown work $work\n";
        beside($work, map { $_ => $measure->($dirs{$_}) } keys %dirs);
    }
}

# Each side is a function that returns units per second and CPU microseconds
# per unit.  For `wake`, the first is the inverse of the 99th percentile.
sub beside {
    my ($work, %sides) = @_;
    my %cpu;

    my $rates = alternate($rounds, map { my $side = $_;
        ($side => sub {
            my ($rate, $cpu) = $sides{$side}->();
            push @{ $cpu{$side} }, $cpu;
            return $rate;
        }) } keys %sides);
    table('units/s, microseconds of CPU a unit',
        map { (["$work, $_", $rates->{$_}], ["$work, $_, CPU", $cpu{$_}]) }
        qw(now before));
    verdict("builds ($work, CPU a unit)", ratio($cpu{now}, $cpu{before}),
        '<= 1.05');
    verdict("builds ($work)", ratio($rates->{now}, $rates->{before}),
        '>= 0.95');
}

# An earlier build may not know an option, and then needs none.
sub knows {
    my ($dir, $option) = @_;
    return grep { `$dir/eventsyncctl $_ --help 2>&1` =~ /\Q$option\E\b/ }
        '', 'init', 'endpoint create';
}

# Runs `do` with the programs of the build, and the options that it knows.
sub with_build {
    my ($dir, $do) = @_;
    local $build = $dir;
    local %Test::Eventsync::EXCEPTIONS = knows($dir, '--allow-addresses')
        ? %Test::Eventsync::EXCEPTIONS : ();
    local @Test::Eventsync::PLAIN_SECRETS = grep { knows($dir, $_) }
        @Test::Eventsync::PLAIN_SECRETS;

    return $do->();
}

# Starts a system of one build that serves feed `bench` with `n` events.
sub system_of {
    my ($dir, $events) = @_;
    my $system = Test::Eventsync->new(workers => 1);

    $system->{build} = $dir;
    local $t = $system;
    my ($key, $base) = with_build($dir, sub { serve($events,
        main => 'worker_rlimit_nofile 8192;') });
    return ($system, $key, $base);
}

sub polled {
    my ($dir) = @_;
    my ($system, $key, $base) = system_of($dir, 60000);
    my $feed = $system->json_get('/v1/feeds/bench', $key) or die "no feed\n";
    my $url = "$base/v1/feeds/bench/events?after=$feed->{epoch}-100&limit=100";

    return sub { worked([$system->workers], sub { wrk(url => $url, seconds => $seconds,
        headers => ["Authorization: Bearer $key"]) }) };
}

sub published {
    my ($connections, $n, $dir) = @_;
    my ($system, $key) = system_of($dir, 0);
    local $t = $system;
    my $file = request_file($key, $n);

    return sub { worked([$system->workers], sub {
        publish_rate($file, $connections, $n, $system->port(0)) }) };
}

# Delivers a backlog to one endpoint with ordering `none`.
sub dispatched {
    my ($dir) = @_;
    my $total = $opt{events} || ($opt{quick} ? 20000 : 100000);
    my $system = Test::Eventsync->new(workers => 1);

    $system->{build} = $dir;
    local $t = $system;
    my $url = sink();
    with_build($dir, sub { prepare($total) });

    return sub {
        local $t = $system;
        my $name = $t->endpoint('bench', url => $url, feeds => 'bench',
            ordering => 'none', start => 'oldest', in_flight => 32);
        my $cpu;
        my $rate = delivery_rate($total,
            at_end => sub { $cpu = cpu_seconds($t->{dispatcher}->pid) });
        $t->ctl_ok('endpoint', 'remove', $name);
        return ($rate, 1e6 * $cpu / $total);
    };
}

sub woken {
    my ($dir) = @_;
    my ($system, $key) = system_of($dir, 0);
    my $n = $opt{quick} ? 5 : 100;

    return sub {
        my ($pid) = $system->workers;
        my $cpu = cpu_seconds($pid);
        my $r = program($dir, 'waiters', '--mode', 'eventsync', '--rounds',
            $n, '--port', $system->port(0), '--store', $system->store,
            '--feed', 'bench', '--key', $key);
        return (1e6 / $r->{p99_us},
            1e6 * (cpu_seconds($pid) - $cpu) / ($n * 500));
    };
}

1;
