#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The receivers of docs/receivers.md, as the page has them: each takes what a
# real dispatcher sends, stores the very bytes, and passes verify-integration.

use warnings;
use strict;

use File::Path qw(make_path);
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $page = do { local (@ARGV, $/) = 'docs/receivers.md'; <> };
my $t = webhook_store();
my $modules = $t->build . '/receivers/node_modules';
my ($node) = (`node --version 2>/dev/null` // '') =~ /^v(\d+)/;
my $flask = `python3 -c 'import flask' 2>&1` eq '';

# What each needs: packages of npm, and the newest of their minimal versions of
# Node.js.
my %needs = (
    'Fastify' => [[qw(fastify standardwebhooks)], 20],
    'Express' => [[qw(express standardwebhooks)], 18],
    'Express, Svix' => [[qw(express svix)], 18],
    'Hono' => [[qw(hono @hono/node-server standardwebhooks)], 20],
    'CloudEvents SDK' => [[qw(cloudevents express standardwebhooks)], 20],
    'Node.js alone' => [[], 18],
    'Flask' => undef,
);

my %code = $page =~ /^### ([^\n]+)\n\n```(?:js|python)\n(.*?)^```/msg;
my ($svix) = $page =~ /^By the guide of Svix.*?```js\n(.*?\n)```/ms;
$code{'Express, Svix'} = $code{Express}
    =~ s/^import \{ Webhook \} .*\n/$svix/mr;
is_deeply([sort keys %code], [sort keys %needs], 'the page has its receivers');

my %row = $page =~ /^\| \[([^\]]+)\](.*) \|$/mg;
is_deeply([sort map { s/,.*//r } grep { $_ ne 'Express, Svix' } keys %needs],
    [sort keys %row], 'and a line of the table for each');

my $hints = do { local (@ARGV, $/) = 'shared/delivery/hint_text.c'; <> };
is(join(' ', $page =~ /^\| `([a-z-]+)` \|/mg),
    join(' ', $hints =~ /\[ES_HINT_\w+\] = \{ "([a-z-]+)",/g),
    'and each hint, in the order of the code');

my %version = map { $row{$_} =~ m{([\@/\w-]+) (\d+\.\d+\.\d+)\b}g }
    grep { $_ ne 'Flask' } keys %row;
for my $package (sort keys %version) {
    my $json = $t->read_file("$modules/$package/package.json") or next;
    is(decode_json($json)->{version}, $version{$package},
        "$package: the version of the page is the one that runs");
}

sub missing {
    my ($name) = @_;
    return $flask ? undef : 'python3-flask is not installed'
        if !$needs{$name};
    my ($packages, $least) = @{ $needs{$name} };
    return "Node.js $least is not installed" if ($node // 0) < $least;
    my @gone = grep { !-d "$modules/$_" } @$packages;
    return @gone ? "npm has not installed @gone: make receivers" : undef;
}

my (%recv, %missing);

sub start {
    my ($name) = @_;
    my $n = keys %recv;
    my $dir = $t->testdir . "/receiver$n";
    make_path($dir);
    symlink $modules, "$dir/node_modules";
    my $program = $needs{$name} ? 'receiver.mjs' : 'receiver.py';
    $t->write_file("receiver$n/$program", $code{$name});
    my $port = Test::Eventsync::free_port();
    my $content_type = $row{$name =~ s/,.*//r}
        =~ m{\| `(application/\S+)` \|} ? $1 : 'application/json';
    my $url = "http://127.0.0.1:$port/hook";
    my ($endpoint, $secret) = $t->endpoint('acme', url => $url,
        feeds => 'orders', start => 'oldest', content_type => $content_type);
    $recv{$name} = { dir => $dir, port => $port, secret => $secret,
        endpoint => $endpoint };
    $recv{$name}{proc} = $t->start("receiver$n", { env => { PORT => $port,
        WEBHOOK_SECRET => $secret } }, 'sh', '-c', 'cd "$1" && exec "$2" "$3"',
        'sh', $dir, $needs{$name} ? 'node' : 'python3', $program);
    return if $content_type ne 'application/json';
    $t->endpoint('acme', url => $url, feeds => 'others', start => 'oldest',
        secret => $secret, content_type => 'application/cloudevents+json');
    $recv{$name}{either} = 1;
}

$t->feed('others');
for my $name (sort keys %needs) {
    if (defined(my $why = missing($name))) {
        $missing{$name} = $why;
    } else {
        start($name);
    }
}
if (%missing) {
    diag("without $_: $missing{$_}") for sort keys %missing;
}
if (!%recv) {
    done_testing();
    exit;
}

for my $name (sort keys %recv) {
    my $recv = $recv{$name};
    my $open = sub { Test::Eventsync::port_open($recv->{port}) };
    ok(wait_for(sub { !$recv->{proc}->running || $open->() }, 60) && $open->(),
        "$name: starts") or diag($recv->{proc}->stderr);
}

# Texts that a parser and a writer of JSON change, and a body of some size.
my @data = ('{"big":12345678901234567890,"one":1.0,"exp":1e2}',
    '{"10":"b","9":"a", "spaced" : [ 1,2 ]}', '"\u0041\/\u00e9"',
    "\"\xc5\xbelu\xc5\xa5 \xf0\x9f\x90\x8e\"", 'null',
    '"' . 'x' x 200_000 . '"');
for my $feed (qw(orders others)) {
    my $n = 0;
    $t->ctl_ok({ stdin => join '', map { $n++;
        qq({"specversion":"1.0","id":"$feed$n","source":"/s","type":"t",)
        . qq("subject":"s$n","data":$_}\n) } @data }, 'publish', $feed);
}
$t->run_dispatcher;

for my $name (sort keys %recv) {
    my $recv = $recv{$name};
    my @expected = map { stored($t, $_) } 'orders',
        $recv->{either} ? 'others' : ();
    my @lines;
    ok(wait_for(sub { @lines = split /\n/,
        $t->read_file("$recv->{dir}/events.ndjson");
        @lines >= @expected }, 60), "$name: takes every event")
        or diag($recv->{proc}->stderr);
    is_deeply([sort @lines], [sort @expected],
        "$name: and stores the bytes that the log has");
}
is_deeply([grep { $_->{class} ne 'ok' } attempts($t, $_->{endpoint})], [],
    'at the first attempt') for values %recv;
is($t->stop_dispatcher, 0, 'the dispatcher ends');

for my $name (sort keys %recv) {
    my @options = (["--thin"], ["--cloudevents", "--batch"]);
    shift @options if !$recv{$name}{either};
    for my $options (@options) {
        my ($rc, $out) = $t->ctl('verify-integration', @$options,
            "--url=http://127.0.0.1:$recv{$name}{port}/hook",
            "--secret=$recv{$name}{secret}");
        is($rc, 0, "$name: passes verify-integration @$options") or diag($out);
    }
}

done_testing();
