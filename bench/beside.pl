# SPDX-License-Identifier: BSD-2-Clause

# The benchmarks of those who are disturbed, for bench/run: requests of one
# partner beside the work of others.  Each is compared with the same requests
# beside a process that has nothing to do with us, and takes as much processor
# time as the disturbance did.

use warnings;
use strict;

use POSIX ();
use Time::HiRes qw(sleep time);

our ($t, $build, $rounds, $seconds, %opt);

my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());

# Processor time of the worker so far, in seconds.
sub worker_cpu {
    my ($pid) = $t->workers;
    my @stat = split ' ', Bench::slurp("/proc/$pid/stat") =~ s/.*\) //r;
    return ($stat[11] + $stat[12]) / $ticks;
}

# Starts a process; returns a sub that ends it and those that it has started.
sub aside {
    my ($code) = @_;
    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        setpgrp;
        open STDOUT, '>', '/dev/null';
        $code->();
        POSIX::_exit(1);
    }
    return sub {
        die "the disturbance has ended\n"
            if waitpid($pid, POSIX::WNOHANG()) != 0;
        kill KILL => -$pid;
        waitpid $pid, 0;
    };
}

# Measures `victim`, which returns the result of http_load, alone, beside
# `disturb`, which runs in a process of its own, and beside as much foreign
# processor time.
sub disturbed_by {
    my ($what, %opts) = @_;
    my (%p50, %p99, @burnt);
    my $quiet_cpu = 0;
    my $burn_ms;

    my $one = sub {
        my ($name, $code) = @_;
        my $end = $code ? aside($code) : sub { };
        sleep 0.3;
        my ($began, $cpu, @times) = (time(), worker_cpu(), times);
        my $r = $opts{victim}->();
        my $took = time() - $began;
        my $rate = (worker_cpu() - $cpu) / $took;
        my $whole = time() - $began + 0.3;
        $end->();
        my @after = times;

        # http_load is a child, too: it took the same in the quiet measurement
        my $children = ($after[2] + $after[3] - $times[2] - $times[3]) / $whole;
        $quiet_cpu = $rate + $children if $name eq 'alone';
        $burn_ms = int(1000 * ($rate + $children - $quiet_cpu))
            if $name eq 'disturbed';
        push @burnt, $burn_ms if $name eq 'disturbed';
        push @{ $p50{$name} }, $r->{p50_us};
        push @{ $p99{$name} }, $r->{p99_us};
        return $r->{p99_us};
    };
    my %side = (
        alone => sub { $one->('alone') },
        disturbed => sub { $one->('disturbed', $opts{disturb}) },
        foreign => sub { $one->('foreign', sub {
            exec "$build/bench/burn", '--ms', $burn_ms < 1 ? 1 : $burn_ms,
                '--threads', cores();
        }) },
    );

    # the first round warms caches, and says how much to burn
    $side{$_}->() for qw(alone disturbed);
    (%p50, %p99, @burnt) = ();

    my $v = alternate($rounds, %side);
    table("us, p99 of $opts{what}",
        ['alone', $v->{alone}],
        ["beside $opts{beside}", $v->{disturbed}],
        ['beside as much foreign work', $v->{foreign}]);
    table('us, p50', map { [$_, $p50{$_}] } qw(alone disturbed foreign));
    table('ms of processor time a second', ['the disturbance', \@burnt]);
    verdict($what, ratio($v->{disturbed}, $v->{foreign}), $opts{target});
}

sub request {
    my ($name, $method, $path, $headers, $body) = @_;
    return $t->write_file($name, join "\r\n", "$method $path HTTP/1.1",
        'Host: localhost', @$headers,
        defined $body ? 'Content-Length: ' . length($body) : (), '',
        $body // '');
}

sub load {
    my ($file, @options) = @_;
    return ("$build/bench/http_load", '--port', $t->port(0), '--request', $file,
        @options);
}

# A victim: requests at an even rate.
sub steady {
    my ($file, $rate, @options) = @_;
    return sub { program($build, 'http_load', '--port', $t->port(0),
        '--request', $file, '--rate', $rate, '--connections', 4, '--seconds',
        $seconds, @options) };
}

# Publishes of one partner, while 40 clients of another list 12,500 endpoints.
sub publish_lists {
    my $endpoints = $opt{quick} ? 1000 : 12_500;
    my ($key) = serve(0, main => ' ',
        location => 'eventsync_endpoints on;');
    my $lister = $t->partner_key('lister', feeds => 'bench', scopes => 'manage');
    program($build, 'endpoints', '--store', $t->store, '--partner', 'lister',
        '--feed', 'bench', '--n', $endpoints, '--url', 'https://a.example');
    my $lists = request('lists', GET => '/v1/endpoints?limit=1000',
        ["Authorization: Bearer $lister"]);
    my $n = 0;

    my $publish = request_file($key, 1);
    disturbed_by('publish-lists', target => '<= 2', what => 'publishes',
        beside => '40 clients that list', victim => sub {
            our $unique;
            my $r = steady($publish, 200, '--start', $unique)->();
            $unique = $r->{next};
            return $r;
        }, disturb => sub {
            exec load($lists, '--connections', 40, '--status', 200,
                '--seconds', 600);
        });
}

# healthz, while four clients get tokens that a key of RSA signs, each for
# another scope.
sub health_tokens {
    my $jwk = `\Q$build/bench/jwk\E` or die "no key\n";
    $t->write_file('keys', $jwk);
    chmod 0600, $t->testdir . '/keys';
    my ($key) = serve(0, main => ' ',
        location => 'eventsync_token on; eventsync_health on;',
        http => "eventsync_token_keys @{[ $t->testdir ]}/keys;");
    my $tokens = request('tokens', POST => '/v1/token',
        ['Content-Type: application/x-www-form-urlencoded'],
        'grant_type=client_credentials&client_id=' . substr($key, 4, 10)
        . "&client_secret=$key&scope=read+feed:f########");

    disturbed_by('health-tokens', target => '<= 2', what => 'healthz',
        beside => 'four clients that get tokens',
        victim => steady(request('health', GET => '/v1/healthz', []), 1000,
            '--status', 200),
        disturb => sub {
            exec load($tokens, '--connections', 4, '--status', 200,
                '--seconds', 600);
        });
}

# Polls of one partner, while another of 10,000 changes three times a second.
sub poll_changes {
    my $partners = $opt{quick} ? 1000 : 10_000;
    my ($key) = serve(1000, main => ' ');
    program($build, 'partners', '--store', $t->store, '--n', $partners);
    my $polls = request('polls', GET =>
        '/v1/feeds/bench/events?from=oldest&limit=100',
        ["Authorization: Bearer $key"]);

    disturbed_by('poll-changes', target => '<= 1.5', what => 'polls',
        beside => 'three changes a second',
        victim => steady($polls, 1000, '--status', 200),
        disturb => sub {
            for (my $i = 0; ; $i++) {
                $t->ctl('partner', 'change', 'other-7',
                    $i % 2 ? '--disabled' : '--enabled');
                sleep 0.33;
            }
        });
}

1;
