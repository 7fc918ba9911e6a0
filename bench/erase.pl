# SPDX-License-Identifier: BSD-2-Clause

# The benchmark of erasing one subject among many events, for bench/run: how
# long it takes, compared with one read of the log's file, and what a publisher
# notices of it.

use warnings;
use strict;

use Time::HiRes qw(sleep time);

our ($t, $build, $rounds, $seconds, %opt, $unique);

# The 99th percentile of single publishes over one connection, in ms, until
# `$until` is true.
sub publish_p99 {
    my ($key, $until) = @_;
    my (@ms, $sock);

    do {
        $sock //= $t->socket;
        my $body = $t->event(id => 'erase-' . $unique++, data => { n => 1 });
        my $began = time();
        my $answer = $t->http(POST => '/v1/feeds/bench/events',
            { authorization => "Bearer $key", connection => 'keep-alive',
              'content-type' => 'application/cloudevents+json' }, $body,
            socket => $sock);
        $answer->{status} == 201 or die "publish: $answer->{status}\n";
        push @ms, 1000 * (time() - $began);
    } until $until->();

    @ms = sort { $a <=> $b } @ms;
    return $ms[int(0.99 * $#ms)];
}

sub erase {
    my $n = $opt{events} || ($opt{quick} ? 200_000 : 10_000_000);
    my $subjects = $n / 1000;
    my $next = 0;

    $t->store_init->feed('bench');
    program($build, 'grow', '--store', $t->store, '--feed', 'bench', '--events',
        $n, '--subjects', $subjects);
    my $key = $t->partner_key('bench', feeds => '*', publish => '*');
    $t->default_conf(http => "keepalive_requests 1000000000;");
    $t->run_nginx;

    my $file = $t->store . '/log/data.mdb';
    printf "  1000 of %d events, in a file of %.1f MB\n", $n, (-s $file) / 1e6;
    my @erase = ("$build/eventsyncctl", '--quiet', '--store', $t->store,
        'erase', '--expect=1000', '--forget-ids');

    my $time = alternate($rounds,
        ours => sub { silently(sub {
            took(@erase, '--subject=item/' . $next++) }) },
        read => sub { silently(sub {
            ctl_took($t->store, 'export', 'bench') }) });
    table('s', ['erase', $time->{ours}], ['read the log', $time->{read}]);

    my $p99 = alternate($rounds,
        during => sub {
            my $pid = fork() // die "fork: $!\n";
            if (!$pid) {
                open STDOUT, '>', '/dev/null';
                exec @erase, '--subject=item/' . $next or POSIX::_exit(1);
            }
            $next++;
            my $ended = 0;
            my $ms = publish_p99($key, sub {
                $ended ||= waitpid($pid, POSIX::WNOHANG()) == $pid });
            $? == 0 or die "erase failed\n";
            return $ms;
        },
        without => sub {
            my $end = time() + $seconds;
            return publish_p99($key, sub { time() > $end });
        });
    table('ms', ['p99 during it', $p99->{during}],
        ['p99 without', $p99->{without}]);

    verdict('erase, time', ratio($time->{ours}, $time->{read}), '<= 1.5');
    verdict('erase, publish p99', ratio($p99->{during}, $p99->{without}),
        '<= 1.5');
}

1;
