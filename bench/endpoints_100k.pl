# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: what costs grow with the number of endpoints.

use warnings;
use strict;

use Time::HiRes qw(sleep time);

use Test::Eventsync qw(wait_for);

our ($t, $build, $rounds, %opt);

# Figures of a store with 100,000 endpoints of 10,000 partners, each beside its
# bound.  The benchmark fails if one of them passes its bound.
sub endpoints_100k {
    my $n = $opt{quick} ? 5000 : 100_000;
    my %of = map { $_ => [] } qw(memory ready change metrics partners endpoints);

    my ($key, $name) = many_endpoints($n);
    for my $round (1 .. $rounds) {
        my ($cpu, $kb) = ready_cost();
        push @{ $of{ready} }, 1e6 * $cpu / $n;
        push @{ $of{memory} }, $kb / $n;
        push @{ $of{change} }, 1000 * change_cost($name) / $n;
        stop();
        push @{ $of{metrics} }, 1000 * answer_cost(20, '/sum/metrics') / $n;
        push @{ $of{partners} }, answer_cost(20, '/ops/partners');
        push @{ $of{endpoints} }, answer_cost(50, '/v1/endpoints',
            { authorization => "Bearer $key" });
        printf "  round %d  done\n", $round;
    }
    report($n, \%of);
}

# What is measured: its name, unit, and bound.  The first four grow with the
# number of endpoints.
my @bounds = (
    [memory    => 'KB of the dispatcher an endpoint', 5],
    [ready     => 'us of processor time an endpoint to be ready', 60],
    [change    => 'us an endpoint, for a change in effect', 25],
    [metrics   => 'us an endpoint, for a scrape in sum', 20],
    [partners  => 'ms of processor time, 100 partners of a list', 10],
    [endpoints => 'ms of processor time, a list of 10 endpoints', 1],
);

sub report {
    my ($n, $of) = @_;
    my $passed = 0;

    table("of $n endpoints", map { [$_->[1], $of->{$_->[0]}] } @bounds);
    for (@bounds) {
        my ($name, $unit, $bound) = @$_;
        my $ratio = ratio($of->{$name}, [($bound) x $rounds]);
        verdict("endpoints-100k ($name)", $ratio, '<= 1', "of $bound $unit");
        $passed += $ratio->[0] > 1;
    }
    die "endpoints-100k: $passed of the bounds are passed\n" if $passed;
}

# Creates the endpoints, and one more partner with ten; returns its key and one
# of its endpoints.
sub many_endpoints {
    my ($n) = @_;
    prepare(0);
    ready();
    our $base_kb = 1024 * (Bench::resident($t->{dispatcher}->pid))[0];
    stop();
    my $key = $t->partner_key('watched', feeds => '*', scopes => 'read,manage');
    program($build, 'partners', '--store', $t->store, '--n', $n / 10);
    my $made = program($build, 'endpoints', '--store', $t->store, '--n', $n,
        '--url', 'http://127.0.0.1:9', '--feed', 'bench', '--partner', 'other',
        '--partners', $n / 10);
    my ($name) = map { scalar $t->endpoint('watched', feeds => 'bench',
        url => "http://127.0.0.1:9/$_") } 1 .. 10;
    printf "  %d endpoints in %.0f s, registry %s\n", $n, $made->{seconds},
        (split ' ', `du -sh @{[$t->store]}/registry`)[0];

    $t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { eventsync_endpoints on; }
        location /ops/ { eventsync_auth off; eventsync_operator on; }
        location /sum/ { eventsync_auth off; eventsync_metrics on; }
    }
}
CONF
    $t->run_nginx;
    return ($key, $name);
}

# Processor time until the dispatcher is ready, and the KB of its own memory that
# it needs for the endpoints.
sub ready_cost {
    my (undef, $mb) = ready();
    our $base_kb;
    return (cpu_seconds($t->{dispatcher}->pid), 1024 * $mb - $base_kb);
}

# Milliseconds of the dispatcher's processor time from a change of one endpoint
# until it is in effect, less what it takes when nothing changes.
sub change_cost {
    my ($name) = @_;
    my $proc = $t->{dispatcher};
    my $n = 5;

    my $spent = sub {
        my ($do) = @_;
        my $cpu = cpu_seconds($proc->pid);
        for my $i (1 .. $n) {
            my $began = time();
            $do->($i);
            sleep 0.01 while time() - $began < 1;
        }
        return 1000 * (cpu_seconds($proc->pid) - $cpu) / $n;
    };
    my $idle = $spent->(sub { });
    my $changed = $spent->(sub {
        my ($i) = @_;
        my $said = () = $proc->stderr =~ /\Q$name\E: its record changed/g;
        $t->ctl_ok(qw(endpoint change), $name, '--timeout=' . (5 + $i) . 's');
        wait_for(sub { $said < (() = $proc->stderr
            =~ /\Q$name\E: its record changed/g) })
            or die "a change is not in effect after 10 s\n";
    });
    return $changed > $idle ? $changed - $idle : 0;
}

# Milliseconds of the worker's processor time for an answer.
sub answer_cost {
    my ($n, $path, $headers) = @_;

    $t->http(GET => $path, $headers);       # reads the registry
    my $cpu = worker_cpu();
    for (1 .. $n) {
        my $answer = $t->http(GET => $path, $headers);
        die "$path: $answer->{status}\n" if $answer->{status} != 200;
    }
    return 1000 * (worker_cpu() - $cpu) / $n;
}

1;
