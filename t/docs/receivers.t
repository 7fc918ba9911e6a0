#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The receivers of docs/receivers.md, as the page has them: each takes what a
# real dispatcher sends, stores the very bytes, and passes verify-integration.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Frameworks qw($PAGE %CODE %NEEDS missing launch);
use Test::Eventsync::Webhooks;

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $t = webhook_store();

is_deeply([sort keys %CODE], [sort keys %NEEDS], 'the page has its receivers');

my %row = $PAGE =~ /^\| \[([^\]]+)\](.*) \|$/mg;
is_deeply([sort map { s/,.*//r } grep { $_ ne 'Express, Svix' } keys %NEEDS],
    [sort keys %row], 'and a line of the table for each');

my $hints = do { local (@ARGV, $/) = 'shared/delivery/hint_text.c'; <> };
is(join(' ', $PAGE =~ /^\| `([a-z-]+)` \|/mg),
    join(' ', $hints =~ /\[ES_HINT_\w+\] = \{ "([a-z-]+)",/g),
    'and each hint, in the order of the code');

my %version = map { $row{$_} =~ m{([\@/\w-]+) (\d+\.\d+\.\d+)\b}g }
    grep { $_ ne 'Flask' } keys %row;
my $modules = $t->build . '/receivers/node_modules';
for my $package (sort keys %version) {
    my $json = $t->read_file("$modules/$package/package.json") or next;
    is(decode_json($json)->{version}, $version{$package},
        "$package: the version of the page is the one that runs");
}

my (%recv, %missing);

sub start {
    my ($name) = @_;
    my $content_type = $row{$name =~ s/,.*//r}
        =~ m{\| `(application/\S+)` \|} ? $1 : 'application/json';
    my $recv = $recv{$name} = launch($t, $name, $CODE{$name}, $SECRET);
    my @common = (url => $recv->{url}, secret => $SECRET, start => 'oldest');
    $recv->{endpoint} = $t->endpoint('acme', @common, feeds => 'orders',
        content_type => $content_type);
    $recv->{either} = $content_type eq 'application/json' or return;
    $recv->{any} = $CODE{$name} =~ /jsonParse: false/
        && $CODE{$name} !~ /'svix'/ || $CODE{$name} !~ /standardwebhooks|svix/;
    $t->endpoint('acme', @common, feeds => 'texts', body => 'data')
        if $recv->{any};
    $t->endpoint('acme', @common, feeds => 'others',
        content_type => 'application/cloudevents+json');
}

$t->feed('others')->feed('texts');
for my $name (sort keys %NEEDS) {
    if (defined(my $why = missing($t, $name))) {
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
    ok($recv->{ready}->(), "$name: starts") or diag($recv->{proc}->stderr);
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
put($t, 'texts', { datacontenttype => 'text/plain', data => 'no JSON' });
$t->run_dispatcher;

for my $name (sort keys %recv) {
    my $recv = $recv{$name};
    my @expected = map { stored($t, $_) } 'orders',
        $recv->{either} ? 'others' : ();
    push @expected, 'no JSON' if $recv->{any};
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
is(scalar(grep { $_->{any} } values %recv),
    scalar(grep { !/Svix|SDK/ } keys %recv), 'also what is not JSON');
is($t->stop_dispatcher, 0, 'the dispatcher ends');

for my $name (sort keys %recv) {
    my @options = (["--thin"], ["--cloudevents", "--batch"]);
    shift @options if !$recv{$name}{either};
    for my $options (@options) {
        my ($rc, $out) = $t->ctl('verify-integration', @$options,
            "--url=$recv{$name}{url}", "--secret=$SECRET");
        is($rc, 0, "$name: passes verify-integration @$options") or diag($out);
    }
}

# Anyone can sign with an empty key.
my %without = map { $_ => launch($t, $_, $CODE{$_}, '')->{proc} } keys %recv;
for my $name (sort keys %without) {
    cmp_ok($without{$name}->wait(60) // 0, '>', 0,
        "$name: ends without a secret");
    like($without{$name}->stderr, qr/secret/i, "$name: and says so");
}

done_testing();
