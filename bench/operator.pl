# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: what the operator's list of partners costs.

use warnings;
use strict;

use Time::HiRes qw(sleep);

our ($t, $build, $rounds, %opt);

# The processor time of the worker for a page of 100 partners, of as many as
# there are endpoints, each of which has been sent an event: with a view that
# must be read, and with one that is used again.
sub operator {
    my $n = $opt{quick} ? 1000 : 10_000;
    my $may = 100;                      # ms

    prepare(0);
    program($build, 'partners', '--store', $t->store, '--n', $n);
    sent_one($n);

    $t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        eventsync_auth off;
        location /ops/ { eventsync_operator on; }
    }
}
CONF
    $t->run_nginx;
    list_cost(1, 0);                    # reads the registry
    my $v = alternate($rounds, fresh => sub { list_cost(5, 1.5) },
        again => sub { list_cost(50, 0) });
    table("ms of processor time, $n partners, $n endpoints",
        ['a view that is read', $v->{fresh}], ['one that is used again', $v->{again}]);
    $t->stop_nginx('TERM');
    verdict('operator', ratio($v->{fresh}, [($may) x @{ $v->{fresh} }]), '<= 1');
}

sub list_cost {
    my ($n, $pause) = @_;
    my $cpu = worker_cpu();
    for (1 .. $n) {
        sleep($pause);
        my $answer = $t->http(GET => '/ops/partners');
        die "partners: $answer->{status}\n" if $answer->{status} != 200;
    }
    return 1000 * (worker_cpu() - $cpu) / $n;
}

1;
