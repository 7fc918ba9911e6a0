# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: how long nothing is sent while one dispatcher takes
# over from another.

use warnings;
use strict;

use List::Util qw(max);
use Test::Eventsync qw(wait_for);

our ($rounds, $t, $build, %opt);

# The time between the last request of the old dispatcher and the first of the
# new one, in the middle of a backlog, with --wait and by stop and start.
sub handover {
    my $events = $opt{events} || ($opt{quick} ? 200_000 : 2_000_000);
    my $log = $t->testdir . '/hooks.log';

    $t->write_file_expand('nginx.conf', <<'CONF');
events { worker_connections 1024; }
http {
    log_format arrival '$msec';
    access_log %%TESTDIR%%/hooks.log arrival;
    keepalive_requests 1000000000;
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location / { return 204; }
    }
}
CONF
    $t->run_nginx;
    $t->store_init->feed('bench');
    program($build, 'grow', '--store', $t->store, '--feed', 'bench',
        '--events', $events, '--size', 80);
    $t->partner_key('bench', feeds => '*');
    $t->endpoint('bench', url => 'http://127.0.0.1:' . $t->port(1) . '/',
        feeds => 'bench', ordering => 'none', in_flight => 32,
        start => 'oldest');

    my $start = sub {
        return $t->start('dispatcher', {}, "$build/eventsync-dispatcher",
            '--store', $t->store, @Test::Eventsync::DISPATCHER_OPTS, @_);
    };
    my $sends = sub {
        my $size = -s $log;
        wait_for(sub { -s $log > $size + 5000 }, 60)
            or die "nothing is sent; more --events are needed\n";
    };
    my $pause = sub {
        my ($from) = @_;
        open my $fh, '<', $log or die "$log: $!\n";
        seek $fh, $from, 0;
        <$fh>;                          # the rest of a line
        my @at = sort { $a <=> $b } map { $_ + 0 } <$fh>;
        return 1000 * max(map { $at[$_] - $at[$_ - 1] } 1 .. $#at);
    };

    my $old = $start->();
    my $side = sub {
        my ($wait) = @_;
        my $new = $wait ? $start->('--wait') : undef;
        wait_for(sub { $new->stderr =~ /: waiting / }, 20)
            or die "it does not wait\n" if $wait;
        $sends->();
        my $from = -s $log;
        $old->stop('TERM') == 0 or die "the dispatcher failed\n";
        $old = $new // $start->();
        $sends->();
        return $pause->($from);
    };
    my $v = alternate($rounds, 'stop and start' => sub { $side->(0) },
        wait => sub { $side->(1) });
    $old->stop('TERM');
    table('ms without a request', ['--wait', $v->{wait}],
        ['stop and start', $v->{'stop and start'}]);
    verdict('handover', ratio($v->{wait}, $v->{'stop and start'}), '<= 1.0');
}

1;
