#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/alerts.yml and docs/runbooks.md: promtool takes the metrics and the rules,
# each alert fires and resolves, every metric of a rule is one of a real scrape,
# and each alert has its runbook.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Alerts;
use Test::Eventsync::Metrics;
use Test::Eventsync::Runbook;
use Test::Eventsync::Webhooks;

my %alert = map { $_->{alert} => $_ } alerts();
my $promtool = promtool();
my $t = webhook_store();

form();
runbooks();
table();
config();
scraped();
cases();

done_testing();

###############################################################################

sub slurp {
    my ($name) = @_;
    open my $fh, '<', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}

sub form {
    my %severity = map { $_ => 1 } qw(critical warning info);
    cmp_ok(scalar keys %alert, '>', 20, 'there are alerts');
    is(scalar keys %alert, scalar(() = alerts()), 'each has a name of its own');
    is_deeply([ grep { !$severity{ $alert{$_}{severity} // '' } } sort keys %alert ], [],
        'each has a severity');
    is_deeply([ grep { ($alert{$_}{for} // '') !~ /^\d+[smhd]$/ } sort keys %alert ], [],
        'and a time that it must last');
    is_deeply([ grep { ($alert{$_}{summary} // '') !~ /^['A-Z{].*\.'?$/ } sort keys %alert ], [],
        'and a sentence');
    is_deeply([ grep { ($alert{$_}{runbook_url} // '') ne runbook_url($_) } sort keys %alert ],
        [], 'and the address of its runbook');
}

sub runbooks {
    my %section = slurp('docs/runbooks.md') =~ /^## (\w+)\n(.*?)(?=^## |\z)/msg;
    is_deeply([ sort keys %section ], [ sort keys %alert ],
        'each alert has a runbook, and each runbook an alert');
    for my $name (sort keys %section) {
        my @parts = $section{$name} =~ /^\*\*(\w+)\.\*\* /mg;
        is("@parts", 'Symptom Meaning Check Remedy Escalation', "$name: all parts");
        my ($check) = $section{$name} =~ /^\*\*Check\.\*\* .*?```sh\n(.*?)```/ms;
        ok($check, "$name: a command shows it");
        my @run = map { Test::Eventsync::Runbook::section($name, $_) =~ /^```sh$/mg }
            qw(Check Remedy);
        is(2 * @run, scalar(() = $section{$name} =~ /^```/mg),
            'and alerts_fired.t runs all blocks, which are in Check and Remedy');
    }
}

# operations.md leads from what to watch to the runbooks.
sub table {
    my ($section) = slurp('docs/operations.md') =~ /^## What to watch\n(.*?)^## /ms;
    my %named = map { $_ => 1 } $section =~ /runbooks\.md#(\w+)/g;
    is_deeply([ sort keys %named ], [ sort map { lc } keys %alert ],
        'docs/operations.md names each alert');
}

# The files of operations.md, by its own commands, in other places.
sub config {
    my ($commands, $yaml) = slurp('docs/operations.md')
        =~ /^```sh\n(sed [^`]*alerts\.yml.*?)```\n\n```yaml\n(.*?)```/ms;
    my $dir = $t->testdir;
    my ($sed) = $commands =~ s{/etc/prometheus}{$dir}gr =~ /^(sed .*?\n.*?)\n/s;
    is(system('sh', '-c', $sed), 0, 'the rules get the address of the runbooks');
    my @rest = grep { !m{^ +runbook_url: https://wiki\.internal/eventsync/runbooks\.md#} }
        grep { /runbook_url/ } split /\n/, $t->read_file('eventsync.yml');
    is_deeply(\@rest, [], 'each of them');
    $t->write_file('eventsync-key', 'x');
    promtool_ok('the configuration', '', qw(check config),
        $t->write_file('prometheus.yml', $yaml));
}

# The metrics and labels of the expressions are those of the module and the
# probe, when they have something to say.
sub scraped {
    my $port = Test::Eventsync::free_port();
    $t->ctl_ok('feed', 'create', 'prices', '--retain-count=10', '--fresh-within=1h');
    $t->endpoint('acme', url => 'http://127.0.0.1:1/', feeds => 'prices');
    certificate($t);
    my $dir = $t->testdir;
    $t->endpoint('acme', url => 'https://127.0.0.1:' . $t->port(1) . '/', feeds => 'prices');
    $t->default_conf(location => 'eventsync_metrics endpoints;',
        server => "listen 127.0.0.1:%%PORT_1%% ssl; ssl_certificate $dir/cert.pem; "
            . "ssl_certificate_key $dir/key.pem;");
    $t->run_nginx;
    $t->ctl_ok('partner', 'create', 'ends', '--feeds=prices');
    $t->ctl_ok('key', 'create', 'ends', '--scopes=read', '--expires=2099-01-01T00:00:00Z');
    mkdir "$dir/heads";
    $t->secret_file(join('', `openssl genpkey -algorithm ed25519 2>/dev/null`), 'audit.pem');
    $t->run_dispatcher("--ca-file=$dir/cert.pem", "--audit-key=$dir/audit.pem",
        "--audit-heads=$dir/heads/now");
    put($t, 'prices', 1);
    my $admin = $t->partner_key('ops', scopes => 'admin');
    my ($text, $each);
    ok(wait_for(sub {
        $text = $t->http(GET => '/v1/metrics', { authorization => "Bearer $admin" })->{body};
        return $text =~ /^eventsync_endpoint_certificate/m
            && $text =~ /^eventsync_dispatcher_heartbeat/m
            && $text =~ /^eventsync_audit_heads/m
            && $text =~ /^eventsync_feed_last_event_age_seconds/m;
    }), 'a scrape');

    my $state = $t->testdir . '/probe';
    $t->ctl_ok('probe', '--setup', "--state=$state", "--port=$port",
        '--url=http://127.0.0.1:' . $t->port(0) . '/v1/');
    $t->ctl('probe', "--state=$state", "--metrics=$state.prom", '--channels=poll', '--for=100ms');
    my $probe = slurp("$state.prom");
    promtool_ok('metrics of the module', $text, 'check', 'metrics');
    promtool_ok('metrics of the probe', $probe, 'check', 'metrics');

    my ($metrics) = parse_metrics($text . $probe);
    my (%labels, %value);
    for my $series (keys %$metrics) {
        my ($name) = $series =~ /^(\w+)/;
        $labels{$name}{$1} = $value{"$name $1 $2"} = 1
            while $series =~ /(\w+)="([^"]*)"/g;
        $labels{$name} //= {};
    }
    # No endpoint is in these states.
    $value{"eventsync_endpoint_state state $_"} = 1
        for map { /^eventsync_endpoints state (.*)/ } keys %value;
    for my $name (sort keys %alert) {
        my @faults;
        my $expr = $alert{$name}{expr};
        while ($expr =~ /\b(eventsync_\w+)(?:\{(.*?)\})?/g) {
            my ($metric, $matchers) = ($1, $2 // '');
            push @faults, $metric if !$labels{$metric};
            while ($matchers =~ /(\w+)(?:=|!=|=~|!~)"([^"]*)"/g) {
                my ($label, $values) = ($1, $2);
                push @faults, map { "$metric\{$label=\"$_\"}" }
                    grep { !$value{"$metric $label $_"} } split /\|/, $values;
            }
        }
        is_deeply(\@faults, [], "$name: a scrape has its metrics, with their labels");
    }
}

# What promtool(1) says of its standard input; skipped without it.
sub promtool_ok {
    my ($what, $input, @args) = @_;
  SKIP: {
        skip 'promtool is not there', 1 if !defined $promtool;
        my $run = $t->start('promtool', { stdin => $input }, $promtool, @args);
        my $rc = $run->wait(60);
        my $said = $run->stdout . $run->stderr;
        ok($rc == 0 && $said !~ /error|warn/i, "promtool @args: $what") or diag($said);
    }
}

# Long cases are evaluated in larger steps.
sub cases {
    my (%tested, %tests);
    for my $case (alert_cases()) {
        my ($name, $for, $fires, $resolves, $labels, $summary, @series) = @$case;
        my $step = $resolves =~ /^(\d+)/ && $1 > 500 ? '30m' : '1m';
        $tested{$name} = 1;
        my $expected = { exp_labels => { severity => $alert{$name}{severity}, %$labels },
            exp_annotations => { summary => $summary, runbook_url => runbook_url($name) } };
        push @{ $tests{$step} }, {
            name => "$name, $for",
            interval => '1m',
            input_series => [ map { { series => $_->[0], values => $_->[1] } } @series ],
            alert_rule_test => [
                { alertname => $name, eval_time => '0m', exp_alerts => [] },
                { alertname => $name, eval_time => $fires, exp_alerts => [ $expected ] },
                { alertname => $name, eval_time => $resolves, exp_alerts => [] },
            ],
        };
    }
    is_deeply([ sort keys %tested ], [ sort keys %alert ], 'each alert has a case');

    my @files = map { $t->write_file("$_.test.yml", JSON::PP->new->canonical->encode({
        rule_files => [ "$Test::Eventsync::ROOT/docs/alerts.yml" ],
        evaluation_interval => $_, tests => $tests{$_} })) } sort keys %tests;
    promtool_ok('docs/alerts.yml', '', qw(check rules --lint=all),
        "$Test::Eventsync::ROOT/docs/alerts.yml");
    promtool_ok('each alert fires, says what it must, and resolves', '', qw(test rules), @files);
}
