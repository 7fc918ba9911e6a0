# SPDX-License-Identifier: BSD-2-Clause

# The benchmarks of what a delivery costs, for bench/run: processor time, and
# throughput over TLS.

use warnings;
use strict;

use Test::Eventsync::Webhooks ();

our ($t, $build, $rounds, $seconds, %opt);

# Processor time of a delivery with everything on, beside a libcurl loop that
# sends the same request by the same interface: with the same signatures, and
# without any.  A signature of ed25519 is compared with one of OpenSSL.
sub dispatch_cpu {
    my $total = $opt{events} || ($opt{quick} ? 20_000 : 200_000);
    my $url = sink();
    my %ours = (hmac => ['v1'], ed25519 => ['v1', 'v1a']);

    $t->store_init->feed('bench');
    $t->feed('told');
    program($build, 'grow', '--store', $t->store, '--feed', 'bench',
        '--events', $total, '--size', 80);
    $t->partner_key('bench', feeds => '*', operations => 'told');
    local $ENV{EVENTSYNC_KEY_FILE} = key_file();
    my @files = sample('everything-on', $ours{hmac}, everything());

    my $bare = sub {
        my ($signatures) = @_;
        return sub { bare_result('socket', $url, @files, '--sign',
            $signatures)->{cpu_us} };
    };
    my $v = alternate($rounds, bare => $bare->(0), signing => $bare->(2),
        openssl => sub { program($build, 'ed25519', '--seconds', 1)->{cpu_us} },
        map { my $kinds = $ours{$_};
            ($_ => sub { dispatched_cpu("$url/1", $total, $kinds) }) }
        keys %ours);
    table('microseconds of processor time',
        ['a delivery, two signatures v1', $v->{hmac}],
        ['a delivery, v1a as well', $v->{ed25519}],
        ['libcurl alone, both made', $v->{signing}],
        ['libcurl alone, none made', $v->{bare}],
        ['a signature of ed25519 by OpenSSL', $v->{openssl}]);

    my @added = map { $v->{ed25519}[$_] - $v->{hmac}[$_] } 0 .. $rounds - 1;
    printf "  beside libcurl without signatures: %.2f (min %.2f, max %.2f)\n",
        @{ ratio($v->{hmac}, $v->{bare}) };
    verdict('dispatch-cpu (v1a)', ratio(\@added, $v->{openssl}), '<= 1.1');
    verdict('dispatch-cpu', ratio($v->{hmac}, $v->{signing}), '<= 1.15');
}

# Microseconds of the dispatcher's processor time for a delivery to one
# endpoint with everything on and another secret of each of `kinds`.
sub dispatched_cpu {
    my ($url, $total, $kinds) = @_;
    my $name = $t->endpoint('bench', url => $url, feeds => 'bench',
        ordering => 'none', start => 'oldest', in_flight => 32, everything());
    my ($began, $first, $used);

    $t->ctl_ok(qw(endpoint rotate), $name, "--kind=$_") for @$kinds;
    delivery_rate($total, options => [dispatcher_options()],
        at_begin => sub {
            ($began, $first) = (cpu_seconds($t->{dispatcher}->pid), $_[0]) },
        at_end => sub { $used = cpu_seconds($t->{dispatcher}->pid) - $began });
    check_recorded($name, $total);
    $t->ctl_ok('endpoint', 'remove', $name);

    return 1e6 * $used / ($total - $first);
}

# Throughput of a backlog to a receiver with TLS that keeps connections, beside
# libcurl.
sub dispatch_tls {
    my $total = $opt{events} || ($opt{quick} ? 20_000 : 200_000);
    my $ca = $t->testdir . '/cert.pem';

    Test::Eventsync::Webhooks::certificate($t);
    my $url = sink(tls => "ssl_certificate $ca;"
        . 'ssl_certificate_key %%TESTDIR%%/key.pem;');
    prepare($total);
    my @files = sample('plain', []);
    my $v = alternate($rounds,
        ours => sub {
            my $name = $t->endpoint('bench', url => "$url/1", feeds => 'bench',
                ordering => 'none', start => 'oldest', in_flight => 32);
            my $rate = delivery_rate($total, options => ["--ca-file=$ca"]);
            $t->ctl_ok('endpoint', 'remove', $name);
            return $rate;
        },
        bare => sub { bare('poll', $url, @files, '--ca-file', $ca) });
    table('deliveries/s', ['one endpoint, TLS', $v->{ours}],
        ['bare libcurl, 32 in flight', $v->{bare}]);
    verdict('dispatch-tls', ratio($v->{ours}, $v->{bare}), '>= 0.95');
}

1;
