# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: what a scrape of the metrics costs.

use warnings;
use strict;

our ($t, $build, $rounds, %opt);

# The processor time of the worker for one scrape as OpenMetrics, at several
# numbers of endpoints that have each been sent an event: of all of them in sum,
# with series for the worst hundred, and with series for each.  The feed has a
# retention limit, so each scrape looks how near it is.
sub scrape {
    my @sizes = $opt{quick} ? (100, 1000) : (100, 1000, 10_000);
    my $may = 100;                      # ms
    my @levels = (['in sum', 'sum'], ['the worst 100', 'worst'], ['each', 'each']);
    my @worst;

    for my $n (@sizes) {
        local $t->{store} = $t->testdir . "/store-$n";
        local $t->{partners} = {};
        prepare(0);
        $t->ctl_ok('feed', 'change', 'bench', '--retain-age=30d');
        sent_one($n);

        $t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        eventsync_auth off;
        location /sum/ { eventsync_metrics on; }
        location /worst/ { eventsync_metrics endpoints=100; }
        location /each/ { eventsync_metrics endpoints=10000; }
    }
}
CONF
        $t->run_nginx;
        my $v = alternate($rounds, map { my $path = $_->[1];
            ($path => sub { scrape_cost("/$path/metrics", $opt{quick} ? 10 : 50) })
        } @levels);
        table("ms of processor time, $n endpoints",
            map { [$_->[0], $v->{$_->[1]}] } @levels);
        $t->stop_nginx('TERM');
        @worst = @{ $v->{each} };
    }
    verdict('scrape', ratio(\@worst, [($may) x @worst]), '<= 1');
}

# Delivers one event to each of `n` endpoints.
sub sent_one {
    my ($n) = @_;
    my $url = sink();
    endpoints($n, $url);
    ready();
    my $base = taken();
    program($build, 'grow', '--store', $t->store, '--feed', 'bench', '--events', 1,
        '--size', 80, '--prefix', "scrape$n");
    wait_for(sub { taken() - $base >= $n }, 300) or die "not delivered in 300 s\n";
    stop();
    $t->stop_nginx('TERM');
}

sub scrape_cost {
    my ($path, $n) = @_;
    my $cpu = worker_cpu();
    for (1 .. $n) {
        my $answer = $t->http(GET => $path, { accept => 'application/openmetrics-text' });
        die "scrape: $answer->{status}\n" if $answer->{status} != 200;
    }
    return 1000 * (worker_cpu() - $cpu) / $n;
}

1;
