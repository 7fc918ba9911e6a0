#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Metrics: who may read them, that their form is right, and that they say what
# has happened, through reloads, restarts and deaths.

use warnings;
use strict;

use IO::Select;
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Metrics;
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 2);
$t->feed('prices');
my $key = $t->master_key;
my $admin = $t->partner_key('ops', scopes => 'admin');
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return $request->{path} eq '/never' ? 500 : $request->{path} eq '/gone' ? 410 : 200;
});

my $all = join ' ', map { "eventsync_$_ on;" } qw(poll publish feeds pages authorize
    backfill snapshot catalogue checkpoints endpoints openapi health sse);

$t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { $all }
        location /limited/ {
            eventsync_poll on;
            eventsync_metrics on;
            eventsync_limit poll rate=1r/d burst=1;
        }
        location /dry/ {
            eventsync_poll on;
            eventsync_limit poll rate=1r/d burst=1;
            eventsync_limit_dry_run on;
        }
        location /other/ {
            eventsync_poll on;
            satisfy any;
            deny all;
        }
        location /ops/ { eventsync_metrics on; eventsync_auth off; }
        location /each/ { eventsync_metrics endpoints; eventsync_auth off; }
    }
}
CONF
$t->run_nginx;

sub get {
    my ($path, $as, %headers) = @_;
    return $t->http(GET => $path, { $as ? (authorization => "Bearer $as") : (), %headers });
}

# All series, after a look at their form.
my $TEXT = 'text/plain; version=0.0.4; charset=utf-8';
my $OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
my $scrapes = 0;
my %family;
sub scrape {
    my $answer = get($_[0] // '/ops/metrics');
    my ($metrics, @faults) = parse_metrics($answer->{body});
    $family{$1} = 1 while $answer->{body} =~ /^# TYPE (\S+)/mg;

    $scrapes++;
    die "scrape $scrapes: $answer->{status} @faults\n" if @faults || $answer->{status} != 200;
    return $metrics;
}

# One series; it is waited for until it has the value.
sub series {
    my ($name, $value, $what) = @_;
    my $got;

    wait_for(sub { ($got = scrape()->{"eventsync_$name"} // '') eq $value }, 15);
    is($got, $value, $what // $name);
}

judge();
access();
forms();
requests();
errors();
commits();
limits();
addresses();
waiting();
feeds();
deliveries();
given_up();
lives();
near();
held();
keys_that_expire();
batches();
clocks();
documented();

done_testing();

###############################################################################

# The reader is strict: what it passes over, this test would too.
sub judge {
    my $head = "# HELP eventsync_a A.\n# TYPE eventsync_a gauge\n";
    my %cases = (
        "${head}eventsync_a 1\n" => 0,
        "${head}eventsync_a{x=\"\\\\\\\"\\n\"} 1.5\n" => 0,
        "${head}eventsync_a 1" => 1,
        "${head}eventsync_a 1\neventsync_a 2\n" => 1,
        "${head}eventsync_b 1\n" => 1,
        "${head}eventsync_a{} 1\n" => 1,
        "${head}eventsync_a{x=\"1\",} 1\n" => 1,
        "${head}eventsync_a{x=\"1\",x=\"2\"} 1\n" => 1,
        "${head}eventsync_a{x=\"\\t\"} 1\n" => 1,
        "${head}eventsync_a -1\n" => 1,
        "${head}eventsync_a 1\n$head" => 1,
        "# TYPE eventsync_a gauge\neventsync_a 1\n" => 1,
        $head =~ s/gauge/counter/r => 1,
        $head =~ s/gauge/histogram/r . qq(eventsync_a_bucket{le="1"} 1\n) => 3,
        "${head}eventsync_a 1 # {x=\"1\"} 1 1\n" => 2,
    );
    for my $text (sort keys %cases) {
        my (undef, @faults) = parse_metrics($text);
        is(scalar @faults, $cases{$text}, 'reader: ' . $text =~ s/\n/|/gr) or diag(@faults);
    }

    $head = "# HELP eventsync_a_bytes A.\n# TYPE eventsync_a_bytes counter\n"
        . "# UNIT eventsync_a_bytes bytes\n";
    my $total = "${head}eventsync_a_bytes_total 1";
    my $long = 'x' x 119;
    %cases = (
        "$total\n# EOF\n" => 0,
        "$total # {id=\"\\\"\"} 0.1 1.000\n# EOF\n" => 0,
        "$total\n" => 2,
        "$total\n# EOF\n\n" => 4,
        "$total\n# EOF\n$total\n" => 5,
        "$total\n\n# EOF\n" => 1,
        "# a\n$total\n# EOF\n" => 1,
        "$total # {id=\"$long\"} 0.1 1.000\n# EOF\n" => 0,
        "$total # {id=\"x$long\"} 0.1 1.000\n# EOF\n" => 0,
        "$total # {id=\"xxxxxxxx$long\"} 0.1 1.000\n# EOF\n" => 1,
        "$total # {id=\"x\"} 0.1\n# EOF\n" => 1,
        "${head}eventsync_a_bytes 1\n# EOF\n" => 1,
        $total =~ s/# UNIT.*\n//r . "\n# EOF\n" => 1,
        $total =~ s/ bytes$/ byte/mr . "\n# EOF\n" => 2,
        $total =~ s/counter/gauge/r . "\n# EOF\n" => 1,
    );
    for my $text (sort keys %cases) {
        my (undef, undef, @faults) = parse_openmetrics($text);
        is(scalar @faults, $cases{$text}, 'reader: ' . $text =~ s/\n/|/gr) or diag(@faults);
    }
}

sub access {
    my $answer = get('/limited/metrics', $admin);
    is($answer->{status}, 200, 'with the scope admin');
    is($answer->{headers}{'content-type'}, $TEXT, 'type');
    is($answer->{headers}{'cache-control'}, 'no-store', 'not to be stored');
    is(get('/limited/metrics', $admin)->{status}, 200, 'free of charge') for 1 .. 3;

    is(get('/limited/metrics')->{status}, 401, 'without a key');
    $answer = get('/limited/metrics', $key);
    is($answer->{status}, 403, 'without the scope');
    is($answer->{headers}{'www-authenticate'}, 'Bearer realm="eventsync", '
        . 'error="insufficient_scope", scope="admin"', 'which it tells');
    is(get('/ops/metrics')->{status}, 200, 'where nobody is asked for one');
    is(get('/v1/metrics', $admin)->{status}, 404, 'where they are on');
    is(get('/ops/metrics?x=1')->{status}, 400, 'unknown parameter');
    is($t->http(POST => '/ops/metrics', {}, 'x')->{headers}{allow}, 'GET, HEAD, OPTIONS',
        'methods');
    is($t->http(HEAD => '/ops/metrics')->{status}, 200, 'head');

    # Each resource that has a directive is there by its name.
    my $metrics = scrape();
    my $directives = $t->read_file("$Test::Eventsync::ROOT/docs/directives.md");
    for my $name (map { s/^eventsync_//r } $directives =~
        /^### (\w+)\n(?=(?:(?!^###).)*^Serves `)/msg)
    {
        next if $name eq 'sse';
        ok(exists $metrics->{"eventsync_events_sent_total{resource=\"$name\"}"},
            "resource $name");
    }
    is((grep { /=""/ } keys %$metrics)[0], undef, 'and none has no name');
}

# OpenMetrics for a client that prefers it, and text for all others.
sub forms {
    my %cases = (
        '*/*' => $TEXT,
        'text/html' => $TEXT,
        'application/json' => $TEXT,
        'application/openmetrics-text' => $OPENMETRICS,
        'application/openmetrics-text;version=1.0.0' => $OPENMETRICS,
        'Application/OpenMetrics-Text; version="1.0.0"; charset=UTF-8' => $OPENMETRICS,
        'application/openmetrics-text; version=0.0.1' => $TEXT,
        'application/openmetrics-text; version=2.0.0' => $TEXT,
        'application/openmetrics-text; charset=iso-8859-1' => $TEXT,
        'application/openmetrics-text;q=0' => $TEXT,
        'application/openmetrics-text;q=0.3, text/plain;q=0.4' => $TEXT,
        'application/openmetrics-text;q=0.4, text/plain;q=0.3' => $OPENMETRICS,
        'application/openmetrics-text, text/plain' => $TEXT,
        # Prometheus 2.42 and 2.53, and 3.0
        'application/openmetrics-text;version=1.0.0,application/openmetrics-text;'
            . 'version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1' => $OPENMETRICS,
        'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,'
            . 'application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;'
            . 'escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'
            => $OPENMETRICS,
    );
    for my $accept (sort keys %cases) {
        my $answer = get('/each/metrics', undef, accept => $accept);
        is($answer->{headers}{'content-type'}, $cases{$accept}, "Accept: $accept");
        my @faults = grep { !ref } $cases{$accept} eq $TEXT ? parse_metrics($answer->{body})
            : parse_openmetrics($answer->{body});
        is("@faults", '', 'and its form is right');
    }

    # Both have the same series.
    my ($text) = parse_metrics(get('/each/metrics')->{body});
    my ($open) = parse_openmetrics(get('/each/metrics', undef,
        accept => 'application/openmetrics-text')->{body});
    is_deeply([ sort keys %$open ], [ sort keys %$text ], 'the same series in both');
}

# What has come since a scrape, of series with a name and a resource.
sub since {
    my ($before, $name, $resource) = @_;
    my $after = scrape();
    return join ' ', map { /^eventsync_$name\{(?:code="(\w+)",)?resource="$resource"\}$/
        && $after->{$_} != $before->{$_}
        ? (defined $1 ? "$1=" : '') . ($after->{$_} - $before->{$_}) : () } sort keys %$after;
}

# The same, when it has come: a request is counted after its answer is sent.
sub comes {
    my ($before, $name, $resource, $expected, $what) = @_;
    my $got;

    wait_for(sub { ($got = since($before, $name, $resource)) eq $expected }, 15);
    is($got, $expected, $what);
}

sub requests {
    my $before = scrape();
    $t->publish('orders', map { { id => "e$_", subject => "s$_" } } 1 .. 4);
    $t->publish('orders', { id => 'e4', subject => 's4' }, { id => 'e5', subject => 's5' });
    is($t->publish('orders', { id => 'e5', subject => 'x' })->{status}, 409, 'a conflict');
    series('events_published_total', 5);
    series('events_duplicate_total', 1);
    comes($before, 'http_requests_total', 'publish', '2xx=2 4xx=1', 'publishes');
    comes($before, 'events_sent_total', 'publish', '', 'send nothing');

    my $events = '/v1/feeds/orders/events';
    my $poll = get("$events?limit=2", $key);
    is(get("$events?limit=2", $key)->{status}, 200, 'the same from memory');
    is(get("$events?limit=2", $key, 'if-none-match' => $poll->{headers}{etag})->{status}, 304,
        'a poll for nothing');
    $t->http(HEAD => $events, { authorization => "Bearer $key" });
    get("$events?subject=s2", $key);
    get($events);
    comes($before, 'http_requests_total', 'poll', '2xx=4 3xx=1 4xx=1', 'polls');
    comes($before, 'events_sent_total', 'poll', 5,
        'events that were sent, not those that were told of');
    cmp_ok(since($before, 'http_sent_bytes_total', 'poll'), '>', 2 * length $poll->{body},
        'bytes');

    my ($epoch) = $t->poll('orders')->{next} =~ /^(.*)-/;
    get("/v1/feeds/orders/$_", $key) for 'snapshot', 'backfill', "backfill?after=$epoch-3",
        "pages/$epoch/1", 'manifest';
    comes($before, 'events_sent_total', 'snapshot', 5, 'a snapshot');
    comes($before, 'events_sent_total', 'backfill', 7, 'backfills');
    comes($before, 'http_requests_total', 'backfill', '2xx=3', 'and a manifest');
    comes($before, 'events_sent_total', 'pages', 5, 'a page');

    # Counted as they go.
    $before = scrape();
    my $stream = $t->http_start(GET => $events, { authorization => "Bearer $key",
        accept => 'text/event-stream' });
    ok(wait_for(sub { since($before, 'events_sent_total', 'poll') eq '5' }),
        'a stream that goes on');
    comes($before, 'http_requests_total', 'poll', '', 'and has not ended');
    close $stream->{sock};
    series('http_waiting_requests{kind="stream"}', 0, 'until its reader leaves');

    $before = scrape();
    get('/v1/nothing', $key);
    get('/other/feeds/orders/events', $key);
    comes($before, 'http_requests_total', 'other', '4xx=2',
        'what is no resource, and what another module refuses');
    my $healths = scrape()->{'eventsync_http_requests_total{code="2xx",resource="health"}'};
    get('/v1/healthz');
    series('http_requests_total{code="2xx",resource="health"}', $healths + 1, 'health');
}

# Each error is counted with its resource and its problem.
sub errors {
    my $events = '/v1/feeds/orders/events';
    my @cases = (
        [ poll => 'invalid-cursor', sub { get("$events?after=x", $key) } ],
        [ poll => 'invalid-parameter', sub { get("$events?limit=x", $key) } ],
        [ poll => 'unauthorized', sub { get($events) } ],
        [ poll => 'not-found', sub { get('/v1/feeds/nothing/events', $key) } ],
        [ publish => 'invalid-event', sub { $t->publish('orders', { id => '' }) } ],
        [ metrics => 'forbidden', sub { get('/limited/metrics', $key) } ],
        [ other => 'not-found', sub { get('/v1/nothing', $key) } ],
        [ other => 'none', sub { get('/other/feeds/orders/events', $key) } ],
    );
    for (@cases) {
        my ($resource, $problem, $do) = @$_;
        my $series = "http_errors_total{problem=\"$problem\",resource=\"$resource\"}";
        my $before = scrape()->{"eventsync_$series"} // 0;
        cmp_ok($do->()->{status}, '>=', 400, "$problem of $resource");
        series($series, $before + 1);
    }
    my $metrics = scrape();
    is((grep { /^eventsync_http_errors_total/ && $metrics->{$_} == 0 } keys %$metrics)[0],
        undef, 'what has not occurred is left out');
}

# The histogram has each commit, and its exemplars an event of them.
sub commits {
    my $name = 'eventsync_commit_duration_seconds';
    my $before = scrape()->{"${name}_count"};
    $t->publish('orders', map { { id => "c$_-$$" } } 1 .. 3);
    series('commit_duration_seconds_count', $before + 1, 'a commit of three events');
    cmp_ok(scrape()->{"${name}_sum"}, '>', 0, 'that took time');

    my ($metrics, $exemplars) = parse_openmetrics(get('/ops/metrics', undef,
        accept => 'application/openmetrics-text')->{body});
    my ($case) = sort { $b->{time} <=> $a->{time} }
        map { $exemplars->{$_} } grep { /^$name/ } keys %$exemplars;
    is($case->{labels}{feed}, 'orders', 'an exemplar has the feed');
    like($case->{labels}{cursor}, qr/^\w+-\d+$/, 'and a cursor');
    cmp_ok(abs($case->{time} - time), '<', 60, 'and when it was');
    my ($sequence) = $case->{labels}{cursor} =~ /-(\d+)$/;
    my ($last) = $t->poll('orders', from => 'latest')->{next} =~ /-(\d+)$/;
    is($sequence, $last - 2, 'of the first event of the commit');

    my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    $t->http(POST => '/v1/feeds/orders/events', { authorization => "Bearer $key",
        'content-type' => 'application/cloudevents+json',
        traceparent => "00-$trace-00f067aa0ba902b7-01" },
        encode_json({ specversion => '1.0', source => '/s', type => 't', id => "trace-$$" }));
    (undef, $exemplars) = parse_openmetrics(get('/ops/metrics', undef,
        accept => 'application/openmetrics-text')->{body});
    ok((grep { ($_->{labels}{trace_id} // '') eq $trace } values %$exemplars),
        'and the trace of an event that has one');
    is((grep { !/_bucket|_total/ } keys %$exemplars)[0], undef, 'buckets and counters have them');
}

sub limits {
    get('/limited/feeds/orders/events', $key) for 1 .. 4;
    series('limit_refused_total{policy="poll"}', 3);
    get('/dry/feeds/orders/events', $key) for 1 .. 2;
    series('limit_dry_run_total{policy="poll"}', 2);
    series('limit_refused_total{policy="poll"}', 3);
    series('limit_refused_total{policy="address"}', 0);
}

# A refused request counts once, and a held one when it ends.
sub addresses {
    my ($id) = (my $as = $t->partner_key('away', feeds => 'orders')) =~ /^esk_(\w{10})_/;
    my $held = $t->http_start(GET => '/v1/feeds/orders/events?from=latest&wait=60',
        { authorization => "Bearer $as" });
    series('http_waiting_requests{kind="poll"}', 1, 'a poll');
    series('address_refused_total', 0);
    $t->ctl_ok(qw(key change), $id, '--allow-from=192.0.2.1');
    is($t->http_end($held)->{status}, 403, 'which ends with the list');
    series('address_refused_total', 1, 'is counted');
    is(get('/v1/feeds/orders/events', $as)->{status}, 403, 'another request');
    series('address_refused_total', 2, 'too');
}

sub waiting {
    my $events = '/v1/feeds/orders/events?from=latest';
    my %as = (authorization => "Bearer $key");
    my @waiting = map { $t->http_start(GET => "$events&wait=60", \%as) } 1 .. 6;
    series('http_waiting_requests{kind="poll"}', 6, 'long polls of all workers');
    $t->publish('orders', { id => 'wake' });
    $t->http_end($_) for @waiting;
    series('http_waiting_requests{kind="poll"}', 0, 'they were answered');

    @waiting = (map({ $t->http_start(GET => "$events&wait=60", \%as) } 1 .. 3),
        map { $t->http_start(GET => $events, { %as, accept => 'text/event-stream' }) } 1 .. 4);
    series('http_waiting_requests{kind="poll"}', 3, 'long polls');
    series('http_waiting_requests{kind="stream"}', 4, 'and streams');

    # What a worker held that was killed is not under way.
    my $before = scrape();
    my %old = map { $_ => 1 } $t->workers;
    $t->allow_errors(qr/exited on signal 9/);
    kill KILL => keys %old;
    ok(wait_for(sub { 2 == grep { !$old{$_} } $t->workers }), 'workers die');
    series("http_waiting_requests{kind=\"$_\"}", 0, "and no $_ waits") for qw(poll stream);
    is(scrape()->{'eventsync_events_published_total'},
        $before->{'eventsync_events_published_total'}, 'counters go on');
}

sub feeds {
    my $metrics = scrape();
    my $of = sub { scrape()->{"eventsync_feed_$_[0]\{feed=\"$_[1]\"}"} };
    my $feed = $t->json_get('/v1/feeds/orders', $key);
    my ($epoch, $latest) = $feed->{latest} =~ /^(.*)-(\d+)$/;

    is($of->(latest_sequence => 'orders'), $latest, 'latest sequence');
    is($of->(oldest_sequence => 'orders'), 1, 'oldest sequence');
    is($of->(events => 'orders'), $latest, 'events');
    my $bytes = $of->(bytes => 'orders');
    cmp_ok($bytes, '>', 100 * $latest, 'bytes');
    like($of->(last_event_age_seconds => 'orders'), qr/^\d+\.\d{3}$/, 'age');
    my $at = $of->(last_event_timestamp_seconds => 'orders');
    cmp_ok(abs($at + $of->(last_event_age_seconds => 'orders') - time), '<', 20, 'and time');
    is($of->(last_event_timestamp_seconds => 'prices'), undef, 'which an empty feed has not');
    is($of->(events => 'prices'), 0, 'of a feed without events');
    is($of->(last_event_age_seconds => 'prices'), undef, 'there is no last one');

    $t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-3");
    is($of->(oldest_sequence => 'orders'), 3, 'after a trim');
    is($of->(events => 'orders'), $latest - 2, 'there are fewer');
    cmp_ok($of->(bytes => 'orders'), '<', $bytes, 'of fewer bytes');

    for my $env (qw(log registry delivery checkpoints pages)) {
        my ($map, $used, $readers, $max) = map { $metrics->{"eventsync_store_$_\{environment="
            . "\"$env\"}"} } qw(map_bytes used_bytes readers readers_max);
        ok($map >= $used && $used >= 8192 && $max == 1022 && $readers <= $max, "$env")
            or diag("$map $used $readers $max");
    }
    cmp_ok($metrics->{'eventsync_store_readers{environment="log"}'}, '>', 0, 'readers');
    is($metrics->{eventsync_store_map_limit_bytes}, 1 << 40, 'the limit of a map');
    my $format = $t->read_file('store/format');
    $t->write_file('store/format', $format =~ s/^map_max .*/map_max 2199023255552/mr);
    is(scrape()->{eventsync_store_map_limit_bytes}, 1 << 41, 'which may be raised at any time');
    $t->write_file('store/format', $format);
    cmp_ok($metrics->{eventsync_store_disk_free_bytes}, '>', 0, 'room on the disk');
    my ($size) = `df -B1 --output=size @{[ $t->store ]}` =~ /^ *(\d+)$/m;
    is($metrics->{eventsync_store_disk_bytes}, $size, 'of its size');
}

sub deliveries {
    is(scrape()->{eventsync_dispatcher_heartbeat_age_seconds}, undef,
        'without a dispatcher there is no heartbeat');

    my $ok = $t->endpoint('acme', url => $recv->url('/ok'), feeds => 'prices');
    my $never = $t->endpoint('acme', url => $recv->url('/never'), feeds => 'prices',
        schedule => '0');
    my $later = $t->endpoint('acme', url => $recv->url('/never'), feeds => 'prices',
        schedule => '0,1h');
    my $gone = $t->endpoint('acme', url => $recv->url('/gone'), feeds => 'prices');
    my $paused = $t->endpoint('acme', url => $recv->url('/ok'), feeds => 'prices');
    $t->ctl_ok('endpoint', 'pause', $paused);
    $t->run_dispatcher;
    put($t, 'prices', 3);

    # $later and $gone have one attempt each, and the events behind it wait.
    series('delivery_attempts_total{class="ok"}', 3, 'attempts that succeed');
    series('delivery_attempts_total{class="status"}', 5, 'and that do not');
    series('delivery_attempt_duration_seconds_count', 8, 'have durations');
    series('delivery_latency_seconds_count', 3, 'each delivery has a time since the commit');
    my $webhook;
    wait_for(sub {
        my (undef, $exemplars) = parse_openmetrics(get('/ops/metrics', undef,
            accept => 'application/openmetrics-text')->{body});
        my $one = $exemplars->{'eventsync_delivery_attempts_total{class="ok"}'};
        return defined($webhook = $one->{labels}{webhook_id});
    }, 15);
    like($webhook, qr/^./, 'an attempt has its webhook id as exemplar');
    is(scalar(grep { $_->{headers}{'webhook-id'} eq ($webhook // '') && $_->{path} eq '/ok' }
        $recv->requests), 1, 'which its receiver was sent');
    series('delivery_exhausted_total', 3, 'events that became dead letters');
    series('delivery_dead_letters', 3, 'and are');
    series('delivery_retries', 2, 'events that are tried again, if ever');
    series('endpoints{state="stopped"}', 1);
    series('endpoints{state="paused"}', 1);
    series('endpoints{state="active"}', 2);
    series('endpoints{state="stalled"}', 1, 'one that an event blocks');
    series('delivery_stalled{reason="event"}', 1, 'with the reason');
    series('endpoints{state="failing"}', 0);
    cmp_ok(scrape()->{eventsync_delivery_backlog_events}, '>=', 2, 'events that wait');
    like(scrape()->{eventsync_dispatcher_heartbeat_age_seconds}, qr/^\d+\.\d{3}$/,
        'heartbeat');

    my $each = scrape('/each/metrics');
    my $of = sub { $each->{"eventsync_endpoint_$_[0]\{endpoint=\"$_[1]\",partner=\"acme\""
        . (defined $_[2] ? ",state=\"$_[2]\"}" : '}')} };
    is($of->(state => $ok, 'active'), 1, 'each: active');
    is($of->(state => $gone, 'stopped'), 1, 'each: stopped');
    is($of->(state => $paused, 'paused'), 1, 'each: paused');
    is($of->(state => $ok, 'paused'), undef, 'each: one state');
    is($of->(backlog_events => $ok), 0, 'each: no backlog');
    is($of->(backlog_events => $later), 2, 'each: a backlog');
    is($of->(retries => $later), 1, 'each: retries');
    is($of->(retries => $ok), 0, 'each: none');
    is($of->(dead_letters => $never), 3, 'each: dead letters');
    is($of->(dead_letters => $later), 0, 'each: none');
    is((grep { /endpoint=/ } keys %{ scrape() })[0], undef,
        'each, where it is asked for');
}

# Two test events are in flight at a time; the third is given up with the
# dispatcher's end.
sub given_up {
    my $slow = $t->receiver({ hang => 1 });
    my $name = $t->endpoint('acme', url => $slow->url, feeds => 'orders');
    my @tests = map { $t->ctl_start('endpoint', 'test', $name) } 1, 2;
    ok(wait_for(sub { $slow->count == 2 }), 'two test events are sent');
    my ($rc) = $t->ctl('endpoint', 'test', $name);
    is($rc, 0, 'the third waits');
    $t->{dispatcher}->kill('TERM');
    ok(wait_for(sub { $t->{dispatcher}->stderr =~ /stopping/ }),
        'the dispatcher takes nothing new');
    $slow->stop;
    is($t->{dispatcher}->wait(20), 0, 'the dispatcher stops');
    $_->wait(20) for @tests;
    series('delivery_attempts_total{class="internal"}', 1,
        'a test event that is not sent is counted');
    $t->run_dispatcher;
    ok(wait_for(sub { $t->{dispatcher}->stderr
        =~ /info: eventsync-dispatcher/ }), 'it starts again');
}

# Counters go on, however their process ends.
sub lives {
    my $sum = sub { $_[0]{eventsync_delivery_attempt_duration_seconds_sum} };
    my $before = scrape();

    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    is($sum->(scrape()), $sum->($before), 'and what it has counted is there');
    $t->run_dispatcher;
    put($t, 'prices', 2);
    series('delivery_attempts_total{class="ok"}', 5, 'after a restart they go on');
    series('delivery_exhausted_total', 5, 'all of them');

    # Whatever was on record when it was killed has been counted.
    put($t, 'prices', 40);
    $recv->wait_for(20);
    $t->stop_dispatcher('KILL');
    my %class;
    $class{$_->{class}}++ for map { attempts($t, $_) } $t->ctl_ok('endpoint', 'list')
        =~ /(ep_\w+)/g;
    my $after = scrape();
    is_deeply({ map { /attempts_total\{class="(\w+)"/ && $after->{$_} ? ($1 => $after->{$_})
        : () } keys %$after }, \%class, 'what is on record is what was counted');

    my $published = scrape()->{eventsync_events_published_total};
    my $polls = scrape()->{'eventsync_http_requests_total{code="2xx",resource="poll"}'};
    ok($t->reload, 'nginx is reloaded');
    series('events_published_total', $published, 'its counters are there');
    get('/v1/feeds/orders/events', $key);
    ok(wait_for(sub { scrape()->{'eventsync_http_requests_total{code="2xx",resource="poll"}'}
        > $polls }), 'and go on');
    cmp_ok($scrapes, '>', 30, 'all in the right form');
}

# Endpoints that retention will soon overtake: of a pause, and of a retry.
sub near {
    my $count = sub { scrape()->{eventsync_delivery_retention_near} };
    is($count->(), 0, 'retention is near no endpoint');
    $t->feed('tight', retain_count => 10);
    my $fail = $t->receiver(sub { $_[0]{headers}{'eventsync-attempt'} == 1
        && $_[0]{body} =~ /"sequence":"0*1"/ ? 500 : 200 });
    my $paused = $t->endpoint('acme', url => $recv->url('/tight'), feeds => 'tight',
        start => 'oldest');
    my $retry = $t->endpoint('acme', url => $fail->url, feeds => 'tight',
        start => 'oldest', ordering => 'none', schedule => '0,1h');
    $t->run_dispatcher;
    put($t, 'tight', 1);
    ok(wait_for(sub { $fail->count == 1
        && grep { $_->{path} eq '/tight' } $recv->requests }), 'two endpoints get an event');
    $t->ctl_ok('endpoint', 'pause', $paused);
    put($t, 'tight', 7);
    ok(wait_for(sub { $fail->count == 8 }), 'and one of them seven more');
    is($count->(), 0, 'with a fifth left it is not near');
    put($t, 'tight', 1);
    series('delivery_retention_near', 1, 'of a retry it is, with a tenth left');
    put($t, 'tight', 1);
    series('delivery_retention_near', 2, 'and of a pause');
    $t->ctl_ok('endpoint', 'resume', $paused);
    $t->ctl_ok('endpoint', 'remove', $retry);
    series('delivery_retention_near', 0, 'until they have caught up');
}

# The last key of a partner with a scope, if it expires.
sub keys_that_expire {
    my $at = sub { my $ms = scrape()->{"eventsync_keys_expiry_timestamp_seconds{scope=\"$_[0]\"}"};
        return defined $ms ? $ms + 0 : undef };
    my ($soon, $later) = map { '2027-0' . $_ . '-01T00:00:00Z' } 1, 2;
    my %unix = ($soon => 1798761600, $later => 1801440000);
    my $create = sub { my ($scopes, $expires) = @_;
        my ($id) = $t->ctl_ok('key', 'create', 'ends', "--scopes=$scopes",
            $expires ? "--expires=$expires" : ()) =~ /esk_(\w{10})/;
        return $id };
    is($at->('read'), undef, 'no key expires');
    $t->partner('ends', feeds => 'orders', publish => 'orders');
    my $both = $create->('read,publish', $soon);
    is($at->('read'), $unix{$soon}, 'a partner with one key');
    is($at->('publish'), $unix{$soon}, 'of two scopes');
    is($at->('manage'), undef, 'not of others');
    like($t->ctl_ok('key', 'list'), qr/^$both .* expires="$soon"/m, 'key list has the time');
    $create->('read', $later);
    is($at->('read'), $unix{$later}, 'with another key, the last counts');
    is($at->('publish'), $unix{$soon}, 'for its scopes');
    my $forever = $create->('publish');
    is($at->('publish'), undef, 'and not with one that never expires');
    $t->ctl_ok('key', 'revoke', $forever);
    is($at->('publish'), $unix{$soon}, 'until that is revoked');
    $t->ctl_ok('partner', 'change', 'ends', '--disabled');
    is($at->($_), undef, "$_ of a disabled partner") for qw(read publish);
}

# The clock of the worker's machine, beside the store's time.
sub clocks {
    my $off = sub { my ($direction) = @_;
        scrape()->{"eventsync_clock_off_seconds{direction=\"$direction\"}"} };
    is($off->($_), '0.000', "the clock is not $_") for qw(ahead behind);
    like(scrape()->{eventsync_clock_synchronized} // 0, qr/^[01]$/,
        'the kernel says whether it is synchronized, or nothing');

  SKIP: {
        my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
        skip 'needs faketime, and no sanitizer', 4 if !$lib || $t->sanitized;
        for ([ '+2h', 'ahead', 'behind' ], [ '-2h', 'behind', 'ahead' ]) {
            my ($shift, $is, $not) = @$_;
            $t->stop_nginx('TERM');
            $t->run_nginx(env => { LD_PRELOAD => $lib, FAKETIME => $shift });
            my $seconds = $off->($is);
            ok($seconds > 7000 && $seconds < 7400, "a clock that is $is") or diag($seconds);
            is($off->($not), '0.000', "is not $not");
        }
        $t->stop_nginx('TERM');
        $t->run_nginx;
    }
}

# A scrape that does not go on holds nobody up: it is the work of a thread, and
# the one worker answers others meanwhile.  The disk is looked at by scrapes only.
sub held {
    my $preload = $t->build . '/fault.so';
    SKIP: {
        skip 'needs fault.so, and no sanitizer', 7 if !-e $preload || $t->sanitized;
        my $fault = $t->testdir . '/fault';
        $t->stop_nginx('TERM');
        my $conf = $t->read_file('nginx.conf');
        $t->write_file('nginx.conf', "env ES_FAULT;\n"
            . $conf =~ s/\bworker_processes \d+;/worker_processes 1;/r);
        $t->run_nginx(env => { LD_PRELOAD => $preload, ES_FAULT => $fault });
        my @workers;
        ok(wait_for(sub { (@workers = $t->workers) == 1 }, 20), 'one worker');
        $t->write_file('fault', 'stat ' . $t->store . "\n");

        my $scrape = $t->http_start(GET => '/each/metrics');
        ok(wait_for(sub { -e "$fault.held" }, 20), 'a scrape is held');
        is(get('/v1/feeds/orders/events', $key)->{status}, 200, 'a poll is answered');
        is($t->publish('orders', { id => "held-$$" })->{status}, 201, 'and a publish');
        is(get('/v1/healthz')->{status}, 200, 'and a health check');
        ok(!IO::Select->new($scrape->{sock})->can_read(0), 'before the scrape');
        unlink $fault;
        is($t->http_end($scrape)->{status}, 200, 'which ends when it can');
        $t->stop_nginx('TERM');
        $t->write_file('nginx.conf', $conf);
        $t->run_nginx;
    }
}

# Answers with events by feed, and more feeds than a small zone has room for.
sub batches {
    my $t = Test::Eventsync->new(workers => 1);
    my @feeds = map { "feed$_" } 1 .. 50;
    $t->store_init->feed($_) for 'first';
    $t->ctl_ok('feed', 'create', $_) for @feeds;
    my $key = $t->master_key;
    $t->default_conf(location => 'eventsync_pages on; eventsync_sse on;');
    $t->write_file('nginx.conf', $t->read_file('nginx.conf')
        =~ s/(eventsync_store [^;]+)/$1 zone_size=64k/r);
    $t->run_nginx;
    my $of = sub {
        my ($label) = @_;
        my ($metrics, @faults) = parse_metrics($t->http(GET => '/ops/metrics')->{body});
        return join ' ', @faults, map { $metrics->{"eventsync_read_batch_events_$_$label"} // '-' }
            qw(sum count);
    };
    my $is = sub {
        my ($label, $expected, $what) = @_;
        my $got;
        wait_for(sub { ($got = $of->($label)) eq $expected }, 15);
        is($got, $expected, $what);
    };

    my $first = '{feed="first"}';
    is($of->($first), '- -', 'batches: none');
    $t->publish('first', map { { id => "b$_" } } 1 .. 5);
    $t->poll('first', from => 'oldest', limit => 3);
    $is->($first, '3 1', 'a poll of three events');
    my $page = $t->poll('first', from => 'oldest');
    $is->($first, '8 2', 'and one of five');
    my ($epoch) = $page->{next} =~ /^(.*)-/;
    $t->http(GET => "/v1/feeds/first/pages/$epoch/1", { authorization => "Bearer $key" });
    $is->($first, '13 3', 'and a page');
    $t->poll('first', after => $page->{next});
    $is->($first, '13 3', 'a poll without events is no batch');
    my $stream = $t->http_start(GET => '/v1/feeds/first/events?from=oldest',
        { authorization => "Bearer $key", accept => 'text/event-stream' });
    $is->($first, '18 4', 'and a piece of a stream');
    close $stream->{sock};

    for my $feed (@feeds) {
        $t->publish($feed, { id => 'one' });
        $t->poll($feed, from => 'oldest');
    }
    my ($sum, $count);
    ok(wait_for(sub {
        my ($metrics) = parse_metrics($t->http(GET => '/ops/metrics')->{body});
        $count = grep { /^eventsync_read_batch_events_count\{/ } keys %$metrics;
        $sum = $metrics->{eventsync_read_batch_events_count} // 0;
        return $count + $sum == 51;
    }, 15), 'a small zone counts some feeds together') or diag("$count $sum");
    cmp_ok($sum, '>', 5, 'which have no series of their own');
    cmp_ok($count, '>', 20, 'and others have');
    $t->finish;
}

# docs/http.md has each family that there was.
sub documented {
    open my $fh, '<', 'docs/http.md' or die "docs/http.md: $!\n";
    my $page = do { local $/; <$fh> };
    cmp_ok(scalar keys %family, '>', 30, 'families of metrics');
    is_deeply([ grep { $page !~ /`\Q$_\E`/ } sort keys %family ], [],
        'docs/http.md has each');
}
