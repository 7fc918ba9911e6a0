#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The page for operators, by a browser: each view, each trouble, each refusal.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Browser;
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 1);
browser($t->build);

$t->feed('prices', retain_age => '1h');
{
    local $t->{store} = $t->testdir . '/empty';
    local $t->{partners} = {};
    $t->store_init;
}
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { eventsync_poll on; eventsync_limit poll rate=1r/h; }
        location /ops/ { eventsync_dashboard operator; eventsync_operator on; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        eventsync_store %%TESTDIR%%/empty;
        location /ops/ {
            eventsync_dashboard operator;
            eventsync_operator on;
            eventsync_auth off;
        }
    }
}
CONF
$t->{partners}{acme} = 1;
my %keys = (
    admin   => $t->partner_key('ops', scopes => 'admin'),
    leaving => $t->partner_key('ops', scopes => 'admin'),
    partner => $t->partner_key('acme', scopes => 'read,manage'),
);
$t->ctl_ok('partner', 'create', "more$_", '--feeds=orders') for 10 .. 69;
$t->run_nginx;

# One endpoint is stopped, one has a dead letter, one is paused and behind.
my $recv = $t->receiver(sub { my $body = $_[0]{body};
    return $_[0]{path} eq '/gone' ? 410 : $body =~ /"type":"bad"/ ? 404 : 200 });
my $stopped = $t->endpoint('acme', url => $recv->url('/gone'), feeds => 'orders',
    start => 'oldest', schedule => '0,1h');
my $dead = $t->endpoint('acme', url => $recv->url, feeds => 'orders', types => 'bad',
    start => 'oldest', schedule => '0', ordering => 'none');
my $paused = $t->endpoint('more15', url => $recv->url, feeds => 'orders', start => 'oldest');
$t->ctl_ok('endpoint', 'pause', $paused);
$t->ctl_ok('partner', 'change', 'more11', '--disabled');
put($t, 'orders', { type => 'good' }, { type => 'bad' }, { type => 'good' });
put($t, 'prices', {}, {});
$t->run_dispatcher;

sub ops {
    my ($path) = @_;
    return Test::Eventsync::json($t->http(GET => "/ops$path",
        { authorization => "Bearer $keys{admin}" })->{body});
}
ok(wait_for(sub { $t->http(GET => '/v1/feeds/orders/events',
    { authorization => "Bearer $keys{partner}" })->{status} == 429 }, 20), 'one is limited');
ok(wait_for(sub { my $p = ops('/partners/acme/status')->{overview};
    ($p->{endpoints}{stopped} // 0) == 1 && $p->{dead_letters} == 1 && @{ $p->{limited} }
    && $p->{hour}{attempts} > 0 }, 30), 'there is something to see');

###############################################################################
# the files

my $page = $t->http(GET => '/ops/dashboard');
is($page->{status}, 200, 'the page needs no key');
like($page->{body}, qr/<body data-page="operator">/, 'it is that of operators');
like($page->{headers}{'content-security-policy'}, qr/\Adefault-src 'none';/, 'with a policy');
my $partners = do { open my $fh, '<', 'dashboard/index.html' or die "index.html: $!\n";
    local $/; <$fh> };
is($page->{body} =~ s/ data-page="operator"| operator//gr, $partners,
    'which is otherwise the page of partners');

# What the page says of the runbooks.
my ($name, %section);
open my $fh, '<', 'docs/runbooks.md' or die "docs/runbooks.md: $!\n";
while (<$fh>) {
    $name = $1 if /^## (\w+)/;
    $section{$name} .= $_ if $name;
}
open $fh, '<', 'dashboard/operator_runbooks.js' or die "operator_runbooks.js: $!\n";
my ($table) = do { local $/; <$fh> } =~ /RUNBOOKS = \{(.*?)^\};/ms;
my %commands;
while ($table =~ /(\w+): \[(.*?)\],\n(?=  \w|\z)/gs) {
    my ($alert, $list) = ($1, $2);
    push @{ $commands{$alert} }, $2 while $list =~ /(['"])(.*?)\1(?:,|\z)/gs;
}
is(scalar keys %commands, scalar(() = $table =~ /\w+: \[/g), 'the runbooks of the page');
for my $alert (sort keys %commands) {
    cmp_ok(scalar @{ $commands{$alert} }, '>', 0, "$alert has commands");
    is(join("\n", grep { index($section{$alert} // '', "$_\n") < 0
        && index($section{$alert} // '', "$_ ") < 0 } @{ $commands{$alert} }), '',
        "commands of $alert are those of its section");
}

###############################################################################
# the browser

my %given = (base => 'http://127.0.0.1:' . $t->port(0) . '/ops', keys => \%keys,
    polls => 'http://127.0.0.1:' . $t->port(0) . '/v1/feeds/orders/events',
    empty => 'http://127.0.0.1:' . $t->port(1) . '/ops/dashboard',
    stopped => $stopped, dead => $dead, revoke => [$t->build . '/eventsyncctl', '--store', $t->store, 'key', 'revoke',
        $keys{leaving} =~ /^esk_([^_]+)/]);
browse('operator.js', %given);
browse('operator.js', %given, shots => $ENV{ES_SHOTS}) if $ENV{ES_SHOTS};

$t->finish;
done_testing();
