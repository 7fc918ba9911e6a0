# SPDX-License-Identifier: BSD-2-Clause

# Benchmarks of bench/run that publish over HTTP, and what others need of them.

use warnings;
use strict;

our ($t, $build, $rounds, $seconds, $unique);

sub event_template {
    return '{"specversion":"1.0","id":"b-@@@@@@@@@@@@","source":"/bench",'
        . '"type":"bench.published","subject":"item/1",'
        . '"data":{"text":"' . 'x' x 40 . '"}}';
}

# Writes a request with `n` events to a file.
sub request_file {
    my ($key, $n, $path) = @_;
    my $body = $n == 1 ? event_template()
        : join '', map { event_template() . "\n" } 1 .. $n;
    my $type = $n == 1 ? 'application/cloudevents+json'
        : 'application/x-ndjson';

    $path //= '/v1/feeds/bench/events';

    return $t->write_file("publish-$n" . $path =~ tr{/}{-}r, join "\r\n",
        "POST $path HTTP/1.1", 'Host: localhost',
        "Authorization: Bearer $key", "Content-Type: $type",
        'Content-Length: ' . length($body), '', $body);
}

sub publish_rate {
    my ($file, $connections, $n, $port) = @_;
    my $result = program($build, 'http_load', '--port', $port // $t->port(0),
        '--request', $file, '--connections', $connections, '--seconds',
        $seconds, '--start', $unique);
    $unique = $result->{next};
    return $result->{rate} * $n;
}

# Size of one of these events as it is stored and delivered.
sub stored_size {
    my ($key) = @_;
    my $page = $t->http(GET => '/v1/feeds/bench/events?from=oldest&limit=1',
        { authorization => "Bearer $key" });
    $page->{body} =~ /(\{"specversion".*?\}\})/ or die "no event\n";
    return length $1;
}

sub bare_lmdb {
    my ($batch, $size) = @_;
    my $dir = $t->testdir . '/bare';
    my $rate = program($build, 'lmdb_loop', '--dir', $dir, '--batch', $batch,
        '--size', $size, '--seconds', $seconds)->{rate};
    Bench::remove_tree($dir);
    return $rate;
}

# Publishes, and sends the same requests to `return 201`: the upper bound of
# HTTP alone.  With `bare`, a loop over LMDB is measured, too.  Returns rates.
sub publish_beside {
    my ($connections, $n, $bare) = @_;
    my ($key) = serve(0, main => ' ',
        server => 'location = /ok { return 201; }');
    my $file = request_file($key, $n);
    my $plain = request_file($key, $n, '/ok');

    # The first events fill caches and give the size of an event.
    publish_rate($file, $connections, $n);
    my $size = stored_size($key);
    print "  an event is $size bytes as stored\n";

    my ($v, $cpu) = alternate_cpu($rounds, [$t->workers],
        ours => sub { publish_rate($file, $connections, $n) },
        http => sub { publish_rate($plain, $connections, $n) },
        $bare ? (bare => sub { bare_lmdb($n, $size) }) : ());
    table('events/s', ["publish, $connections connections", $v->{ours}],
        ['the same requests, return 201', $v->{http}],
        $bare ? ["bare LMDB, $n to a commit", $v->{bare}] : ());
    table('microseconds of the worker\'s CPU time an event',
        ['publish', $cpu->{ours}], ['return 201', $cpu->{http}]);
    print '  worker: ', memory(($t->workers)[0]), "\n";
    return $v;
}

sub publish_both {
    my ($what, $connections, $n, $target) = @_;
    my $v = publish_beside($connections, $n, 1);

    printf "  return 201 by this measure: %.2f (min %.2f, max %.2f)\n",
        @{ ratio($v->{http}, $v->{bare}) };
    verdict($what, ratio($v->{ours}, $v->{bare}), $target);
}

sub publish_http {
    my $v = publish_beside(64, 1);

    verdict('publish-http', ratio($v->{ours}, $v->{http}), '>= 0.45');
}

sub publish_single { publish_both('publish-single', 64, 1, '>= 10') }
sub publish_batch { publish_both('publish-batch', 4, 1000, '>= 0.5') }

1;
