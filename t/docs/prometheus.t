#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A real Prometheus scrapes a real nginx every second by docs/alerts.yml, with
# shorter times.  Faults let alerts fire, and the commands of the runbooks show
# the faults and resolve the alerts.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Alerts;
use Test::Eventsync::Webhooks;

my ($prometheus) = grep { -x } map { "$_/prometheus" } split /:/, $ENV{PATH};
plan skip_all => 'prometheus is not there' if !defined $prometheus;

my $t = webhook_store();
my $dir = $t->testdir;
my $web = Test::Eventsync::free_port();
my $recv = $t->receiver(sub { -e "$dir/repaired" ? 200 : 410 });
my $admin = $t->partner_key('ops', scopes => 'admin');
my $key = $t->partner_key('acme', scopes => 'read');
$t->ctl_ok('partner', 'change', 'acme', '--limit-poll=1r/m');
my $endpoint = $t->endpoint('acme', url => $recv->url, feeds => 'orders');
$t->default_conf(location => 'eventsync_metrics endpoints;');
$t->run_nginx;
$t->run_dispatcher;
start();

dispatcher_down();
endpoint_stopped();
partner_limited();

done_testing();

###############################################################################

sub start {
    my $rules = $t->read_file("$Test::Eventsync::ROOT/docs/alerts.yml");
    $rules =~ s/^( +for: ).*/${1}1s/mg;
    # doctor takes a heartbeat of ten seconds for a recent one
    $rules =~ s/_age_seconds > 30$/_age_seconds > 11/m or die;
    $rules =~ s/\[(?:5|10|15)m\]/[5s]/g;
    $t->write_file('rules.yml', $rules);
    $t->write_file('key', $admin);
    $t->write_file('prometheus.yml', <<"YAML");
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ rules.yml ]
scrape_configs:
  - job_name: eventsync
    metrics_path: /v1/metrics
    authorization: { credentials_file: key }
    static_configs: [ { targets: [ "127.0.0.1:@{[ $t->port(0) ]}" ] } ]
YAML
    my $p = $t->start('prometheus', {}, $prometheus, "--config.file=$dir/prometheus.yml",
        "--storage.tsdb.path=$dir/data", "--web.listen-address=127.0.0.1:$web");
    ok(wait_for(sub { query('up') eq '1' }, 60), 'Prometheus scrapes nginx')
        or BAIL_OUT($p->stderr);
}

sub api {
    my ($path) = @_;
    my $answer = eval { $t->http(GET => "/api/v1/$path", {}, undef, port => $web) };
    return {} if !$answer || $answer->{status} != 200;
    return decode_json($answer->{body})->{data};
}

sub query {
    my ($expr) = @_;
    my $data = api("query?query=$expr");
    return $data->{result}[0]{value}[1] // '';
}

sub firing {
    my ($name) = @_;
    return grep { $_->{labels}{alertname} eq $name && $_->{state} eq 'firing' }
        @{ api('alerts')->{alerts} // [] };
}

sub fires {
    my ($name, $summary) = @_;
    ok(wait_for(sub { firing($name) }, 60), "$name fires");
    my ($alert) = firing($name);
    like($alert->{annotations}{summary}, $summary, 'with a sentence');
    is($alert->{annotations}{runbook_url}, runbook_url($name), 'and its runbook');
}

sub resolves {
    my ($name) = @_;
    ok(wait_for(sub { !firing($name) }, 60), "$name resolves");
}

# The commands of a part of a runbook that call eventsyncctl, with the names of
# this test, as the page has them.
sub commands {
    my ($name, $part) = @_;
    my ($block) = $t->read_file("$Test::Eventsync::ROOT/docs/runbooks.md")
        =~ /^## $name\n(?:(?!^## ).)*?^\*\*$part\.\*\*(?:(?!^\*\*|^## ).)*?```sh\n(.*?)```/ms
        or die "$name has no commands in $part\n";
    return map { /^eventsyncctl (.*?)(?: \||$)/ ? [ map { s/^ep_…$/$endpoint/r }
        split ' ', $1 =~ s/ +#.*//r ] : () } split /\n/, $block;
}

sub dispatcher_down {
    is(scalar firing('EventsyncDispatcherDown'), 0, 'the dispatcher works');
    is($t->stop_dispatcher, 0, 'it is stopped');
    fires('EventsyncDispatcherDown', qr/^No dispatcher works on the store of 127/);
    my ($doctor) = commands('EventsyncDispatcherDown', 'Check');
    like(($t->ctl(@$doctor))[1], qr/^fail +dispatcher/m, 'the check shows it');
    $t->run_dispatcher;
    resolves('EventsyncDispatcherDown');
}

sub endpoint_stopped {
    put($t, 'orders', 1);
    fires('EventsyncEndpointStopped', qr/^Endpoint $endpoint of acme is stopped at 127/);
    my @check = commands('EventsyncEndpointStopped', 'Check');
    is(scalar @check, 3, 'the runbook has three commands');
    like($t->ctl_ok(@$_), qr/410|stopped/, "eventsyncctl @$_[0, 1] shows it") for @check;
    $t->write_file('repaired', '');
    $t->ctl_ok(@$_) for commands('EventsyncEndpointStopped', 'Remedy');
    resolves('EventsyncEndpointStopped');
    ok(wait_for(sub { $recv->count >= 2 }), 'and the event arrives');
}

sub partner_limited {
    my $poll = sub { $t->http(GET => '/v1/feeds/orders/events',
        { authorization => "Bearer $key" })->{status} };
    is($poll->(), 200, 'a poll');
    ok(wait_for(sub { $poll->() for 1 .. 10; firing('EventsyncPartnerLimited') }, 60),
        'EventsyncPartnerLimited fires');
    my ($alert) = firing('EventsyncPartnerLimited');
    is($alert->{labels}{policy}, 'poll', 'with the policy');
    like($t->ctl_ok(@$_), qr/1r\/m/, 'the check shows the limit')
        for commands('EventsyncPartnerLimited', 'Check');
    like($t->read_file('error.log'), qr/eventsync limits partner "acme"/, 'and the log the partner');
    $t->ctl_ok(@$_) for commands('EventsyncPartnerLimited', 'Remedy');
    ok(wait_for(sub { $poll->() == 200 }), 'the remedy lets the partner poll');
    resolves('EventsyncPartnerLimited');
}
