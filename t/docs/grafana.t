#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/grafana.json: its form, and that each query gets data from a real
# Prometheus, which scrapes a busy nginx as OpenMetrics.  The same Prometheus has
# the exemplars.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $dashboard = decode_json(slurp('docs/grafana.json'));
my @panels = @{ $dashboard->{panels} };
my @queries = grep { $_->{type} ne 'row' } @panels;

# Panels without data here, and why.
my %empty = (
    'Certificates' => 'no endpoint here uses TLS',
    'Certificates by endpoint' => 'no endpoint here uses TLS',
    'Keys' => 'no key here expires',
);

shape();
layout();
names();

SKIP: {
    my ($prometheus) = grep { -x } map { "$_/prometheus" } split /:/, $ENV{PATH};
    skip 'prometheus is not there', 1 if !defined $prometheus;
    run($prometheus);
}

done_testing();

###############################################################################

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!\n";
    local $/;
    return <$fh>;
}

# What Grafana needs for an import.
sub shape {
    cmp_ok($dashboard->{schemaVersion}, '>=', 39, 'a recent schema');
    is($dashboard->{id}, undef, 'no id of a database');
    like($dashboard->{uid}, qr/^[\w-]{1,40}$/, 'a uid');

    my ($input) = @{ $dashboard->{__inputs} };
    is_deeply([ @$input{qw(name type pluginId)} ], [ qw(DS_PROMETHEUS datasource prometheus) ],
        'the import asks for the data source');
    my %variables = map { $_->{name} => $_ } @{ $dashboard->{templating}{list} };
    is_deeply([ sort keys %variables ], [ qw(datasource instance) ], 'variables');
    is($variables{datasource}{current}{value}, '${DS_PROMETHEUS}', 'which it sets');

    my %required = map { $_->{id} => 1 } grep { $_->{type} eq 'panel' } @{ $dashboard->{__requires} };
    is_deeply([ sort keys %required ], [ sort keys %{ { map { $_->{type} => 1 } @queries } } ],
        'the plugins are named');
    my %ids;
    $ids{$_->{id}}++ for @panels;
    is_deeply([ grep { $ids{$_} > 1 || !/^\d+$/ } keys %ids ], [], 'ids are numbers and unique');
}

# Panels are within the 24 columns and cover each other nowhere.
sub layout {
    my (%taken, @faults);
    for my $panel (@panels) {
        my ($x, $y, $w, $h) = @{ $panel->{gridPos} }{qw(x y w h)};
        push @faults, "$panel->{title}: width" if $x < 0 || $w < 1 || $x + $w > 24;
        for my $at (map { my $row = $_; map { "$_/$row" } $x .. $x + $w - 1 } $y .. $y + $h - 1) {
            push @faults, "$panel->{title} covers $taken{$at}" if $taken{$at};
            $taken{$at} = $panel->{title};
        }
    }
    is_deeply(\@faults, [], 'the panels do not overlap');
    my ($section, %sections) = '';
    for my $panel (@panels) {
        if ($panel->{type} eq 'row') {
            $section = $panel->{title};
        } else {
            push @{ $sections{$section} }, $panel->{title};
        }
    }
    is_deeply([ sort keys %sections ], [ sort 'Now', qw(Partners Delivery Publish Polls Store
        Clock Dispatcher Alerts) ], 'sections');
    for my $section (sort keys %sections) {
        my %titles;
        $titles{$_}++ for @{ $sections{$section} };
        is_deeply([ grep { $titles{$_} > 1 } keys %titles ], [], "$section: titles are unique");
    }
}

# Units that Grafana knows, texts, and metrics that exist.
sub names {
    my %units = map { $_ => 1 } qw(short s percentunit bytes Bps ops reqps);
    my (@faults, %used);
    for my $panel (@queries) {
        my $title = $panel->{title};
        push @faults, "$title: unit" if !$units{$panel->{fieldConfig}{defaults}{unit}};
        push @faults, "$title: text" if $panel->{description} !~ /^[A-Za-z].*\.$/;
        push @faults, "$title: data source"
            if grep { $_->{datasource}{uid} ne '${datasource}' } $panel, @{ $panel->{targets} };
        my %refs = map { $_->{refId} => 1 } @{ $panel->{targets} };
        push @faults, "$title: refId" if keys %refs != @{ $panel->{targets} };
        for my $expr (map { $_->{expr} } @{ $panel->{targets} }) {
            push @faults, "$title: no instance in $expr" if $expr !~ /instance=~"\$instance"/;
            push @faults, "$title: $expr" if $expr =~ /\$(?!instance\b|__rate_interval\b)/;
            $used{$1} = 1 while $expr =~ /\beventsync_(\w+?)(?:_bucket|_count|_sum)?\b(?=\{)/g;
        }
    }
    is_deeply(\@faults, [], 'units, texts, data sources');

    my ($text) = slurp('docs/http.md') =~ /^## Metrics\n(.*?)^## /ms;
    my %known = map { $_ => 1 } $text =~ /`eventsync_(\w+)`/g;
    is_deeply([ grep { !$known{$_} } sort keys %used ], [], 'docs/http.md has each metric');
}

###############################################################################

my ($t, $port, $key, $elsewhere, $trace);

sub run {
    my ($prometheus) = @_;

    serve();
    $port = Test::Eventsync::free_port();
    my $dir = $t->testdir;
    my $rules = slurp('docs/alerts.yml');
    $rules =~ s/^( +for: ).*/${1}1s/mg;
    $t->write_file('rules.yml', $rules);
    # JSON is YAML
    $t->write_file('prometheus.yml', encode_json({
        global => { scrape_interval => '1s', evaluation_interval => '1s' },
        rule_files => [ 'rules.yml' ],
        scrape_configs => [ { job_name => 'eventsync', metrics_path => '/ops/metrics',
            static_configs => [ { targets => [ '127.0.0.1:' . $t->port(0) ] } ] } ] }));
    my $process = $t->start('prometheus', {}, $prometheus, "--config.file=$dir/prometheus.yml",
        '--enable-feature=exemplar-storage', "--storage.tsdb.path=$dir/data",
        "--web.listen-address=127.0.0.1:$port");
    ok(wait_for(sub { @{ result('up == 1') } }, 60), 'Prometheus scrapes nginx')
        or BAIL_OUT($process->stderr);

    data($_) for @queries;
    exemplars();
    parsers($dir);
}

# A store with all that the panels show.
sub serve {
    $t = webhook_store();
    my $recv = $t->receiver(sub { my ($request) = @_;
        return $request->{path} eq '/never' ? 500 : $request->{path} eq '/gone' ? 410 : 200 });
    $t->ctl_ok(qw(feed change orders --retain-age=1d --fresh-within=1h));
    $key = $t->master_key;
    ($elsewhere) = $t->ctl_ok(qw(key create tester --scopes=read --allow-from=192.0.2.1))
        =~ /(esk_\S+)/;
    $t->endpoint('acme', url => $recv->url($_->[0]), feeds => 'orders', @{ $_->[1] })
        for [ '/ok', [] ], [ '/never', [ schedule => '0' ] ], [ '/gone', [] ],
            [ '/never', [ schedule => '0,1h' ] ];
    $t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { eventsync_poll on; eventsync_publish on; }
        location /limited/ { eventsync_poll on; eventsync_limit poll rate=1r/d burst=1; }
        location /dry/ {
            eventsync_poll on;
            eventsync_limit poll rate=1r/d burst=1;
            eventsync_limit_dry_run on;
        }
        location /ops/ { eventsync_metrics endpoints; eventsync_auth off; }
    }
}
CONF
    $t->run_nginx;
    $t->run_dispatcher;
}

# Some of everything: publishes with a trace, polls, errors, refusals.
my $n = 0;
sub work {
    my %as = (authorization => "Bearer $key");
    my $id = sprintf '%032x', ++$n;
    $trace->{$id} = 1;
    $t->http(POST => '/v1/feeds/orders/events', { %as,
        'content-type' => 'application/cloudevents+json', traceparent => "00-$id-00f067aa0ba902b7-01" },
        encode_json({ specversion => '1.0', source => '/s', type => 't', id => "g$n", subject => 's' }));
    $t->http(POST => '/v1/feeds/orders/events', { %as, 'content-type' => 'application/cloudevents+json' },
        '{}');
    $t->http(GET => "/$_/feeds/orders/events", \%as) for qw(v1 limited dry);
    $t->http(GET => '/v1/feeds/orders/events', { authorization => "Bearer $elsewhere" });
}

sub api {
    my ($path, %args) = @_;
    my $query = join '&', map { my $value = $args{$_} =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ger;
        "$_=$value" } sort keys %args;
    my $answer = eval { $t->http(GET => "/api/v1/$path?$query", {}, undef, port => $port) };
    return $answer && eval { decode_json($answer->{body}) } || {};
}

# The series of an expression that are numbers; a fault stands in place of them.
sub result {
    my ($expr) = @_;
    my $answer = api('query', query => $expr);
    return [ $answer->{error} ] if defined $answer->{error};
    return [ grep { $_->{value}[1] ne 'NaN' } @{ $answer->{data}{result} // [] } ];
}

sub data {
    my ($panel) = @_;
    for my $expr (map { $_->{expr} } @{ $panel->{targets} }) {
        $expr =~ s/\$instance\b/.*/g;
        $expr =~ s/\$__rate_interval\b/10s/g;
        my $got = [];
        if (my $why = $empty{$panel->{title}}) {
            is_deeply(result($expr), [], "$panel->{title}: valid and empty, since $why");
            next;
        }
        wait_for(sub { work(); $got = result($expr); @$got }, 60);
        ok(@$got && ref $got->[0], "$panel->{title}: $expr") or diag(@$got);
    }
}

# Prometheus gives back the traces of publishes, from commits to deliveries.
sub exemplars {
    for my $metric (qw(commit_duration_seconds_bucket delivery_latency_seconds_bucket
        delivery_attempt_duration_seconds_bucket delivery_attempts_total))
    {
        my @found;
        wait_for(sub { work();
            @found = map { @{ $_->{exemplars} } } @{ api('query_exemplars',
                query => "eventsync_$metric", start => time - 3600, end => time + 60)->{data}
                // [] } }, 60);
        my ($one) = grep { $_->{labels}{trace_id} } @found;
        ok($one && $trace->{ $one->{labels}{trace_id} }, "$metric: the trace of a publish")
            or diag(explain(\@found));
        like($one->{labels}{webhook_id} // $one->{labels}{cursor}, qr/^g\d+$|^\w+-\d+$/,
            'and which event it was');
    }
}

# Readers that are not ours take both forms; promtool takes one, see
# findings/promtool-check-metrics-and-openmetrics.sh.
sub parsers {
    my ($dir) = @_;
    my %module = ('application/openmetrics-text' => 'prometheus_client.openmetrics.parser',
        'text/plain' => 'prometheus_client.parser');
    my ($python) = grep { system("$_ -c 'import prometheus_client' 2>/dev/null") == 0 }
        qw(python3 /usr/bin/python3);
    my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};

    for my $accept (sort keys %module) {
        my $text = $t->http(GET => '/ops/metrics', { accept => $accept })->{body};
        my $file = $t->write_file('metrics.txt', $text);
        SKIP: {
            skip 'python3-prometheus-client is not there', 1 if !defined $python;
            my $n = qx{$python -c "
import sys
from $module{$accept} import text_string_to_metric_families as parse
print(sum(len(f.samples) for f in parse(sys.stdin.read())))" < $file};
            is($n + 0, scalar(() = $text =~ /^(?!#)./mg), "Python reads $accept");
        }
        SKIP: {
            skip 'promtool reads the text format only', 1
                if !defined $promtool || $accept ne 'text/plain';
            is(qx($promtool check metrics < $file 2>&1), '', 'promtool check metrics');
        }
    }
}
