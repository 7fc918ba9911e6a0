#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Prefer: handling=lenient: a batch is taken event by event, with an outcome
# for each, and the log replaces its own attributes.  Without it, one event
# refuses all.  And the media types of events by line.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init;
$t->feed('orders')->feed('checked', schema => 'enforce')->feed('warned', schema => 'warn');
$t->ctl_ok({ stdin => '{"properties":{"n":{"maximum":3}}}' }, 'type', 'register',
    't', '1.0.0');
my $key = $t->master_key;
my $few = $t->partner_key('few', publish => '*', limit_publish => '1r/d,burst=8');
$t->default_conf(location => 'eventsync_max_event 4k; eventsync_metrics on;'
    . ' eventsync_cors https://page.example;');
$t->run_nginx;

my $lines = 'application/x-ndjson';

sub post {
    my ($body, %opts) = @_;
    my @prefer = map { (prefer => $_) } @{ $opts{prefer} // ['handling=lenient'] };
    my $answer = $t->http(POST => '/v1/feeds/' . ($opts{feed} // 'orders') . '/events',
        [ authorization => 'Bearer ' . ($opts{key} // $key),
          'content-type' => $opts{type} // $lines, @prefer, @{ $opts{headers} // [] } ],
        $body);
    $answer->{json} = eval { Test::Eventsync::json($answer->{body}) };
    return $answer;
}

sub event { return $t->event(type => 't', @_) }

# What each event came to: its sequence, or the status of its problem.
sub outcomes {
    my ($answer) = @_;
    return join ' ', $answer->{status}, map {
        $_->{problem} ? $_->{problem}{status} : ($_->{cursor} =~ s/.*-//r)
            . ($_->{duplicate} ? 'd' : '') . ($_->{replaced} ? 'r' : '')
            . ($_->{warning} ? 'w' : '')
    } @{ $answer->{json}{results} // [] };
}

sub stored { return scalar @{ $t->poll_all($_[0]) } }

###############################################################################
# event by event

my @mixed = (event(id => 'a'), '{', event(id => 'b.c'), event(id => 'd'),
    event(id => 'e', data => 'x' x 5000), event(id => 'a'),
    event(id => 'a', subject => 'other'), event(id => 'f'));

my $answer = post(join("\n", @mixed), prefer => []);
is($answer->{status}, 400, 'strict: one refuses all');
is($answer->{json}{index}, 1, 'strict: it says which');
is($answer->{headers}{'preference-applied'}, undef, 'strict: nothing is applied');
is(stored('orders'), 0, 'strict: nothing is stored');

$answer = post(join("\n", @mixed));
is(outcomes($answer), '201 1 400 400 2 413 1d 409 3', 'each has its outcome');
is($answer->{headers}{'preference-applied'}, 'handling=lenient', 'it says so');
is(stored('orders'), 3, 'the good ones are stored, without a gap');
my @results = @{ $answer->{json}{results} };
is_deeply([ map { $_->{id} } @results ], ['a', undef, undef, 'd', undef, 'a', 'a', 'f'],
    'with their ids, where these are known');
is_deeply([ sort keys %{ $results[2] } ], [qw(id problem)], 'nothing else of a refused one');
is_deeply([ @{ $results[2]{problem} }{qw(type title status pointer)} ],
    [ 'urn:eventsync:problem:invalid-event', 'Invalid event', 400, '/id' ], 'a problem');
like($results[2]{problem}{detail}, qr/webhook-id/, 'and why');
is($results[6]{problem}{type}, 'urn:eventsync:problem:conflict', 'a conflict');
is($results[4]{problem}{type}, 'urn:eventsync:problem:too-large', 'too large');

is(outcomes(post(join("\n", @mixed))), '201 1d 400 400 2d 413 1d 409 3d',
    'again: all are there');
is(outcomes(post("{\n[]\n7")), '200 400 400 400', 'none of them');
is(outcomes(post('[' . join(',', event(id => 'g'), '1', event(id => 'h')) . ']',
    type => 'application/cloudevents-batch+json')), '201 4 400 5', 'an array');
$answer = post('[' . event(id => 'i') . ',{', type => 'application/cloudevents-batch+json');
is($answer->{status}, 400, 'an array that is no JSON is refused as a whole');
is(stored('orders'), 5, 'nothing of it is stored');
is(outcomes(post('{"specversion":"1.0"}', type => 'application/cloudevents+json')),
    '200 400', 'one event');
is(outcomes(post('x', type => 'text/plain', headers => [ 'ce-id' => 'j',
    'ce-specversion' => '1.0', 'ce-source' => '/s' ])), '200 400', 'binary mode');
is(post('')->{status}, 400, 'no event');
is(post(join "\n", map { '{' } 1 .. 10001)->{status}, 413, 'too many');
ok(length post(join "\n", map { event(id => "long-$_", "\x{1}" x 40 => 1) } 1 .. 2000)
    ->{body} > 400_000, 'names that must be escaped');

###############################################################################
# schemas

@mixed = map { event(id => "s-$_", data => { n => $_ }) } 1 .. 5;
is(outcomes(post(join("\n", @mixed), feed => 'checked')), '201 1 2 3 422 422',
    'schema: each by itself');
$answer = post($mixed[4], feed => 'checked');
is(outcomes($answer), '200 422', 'schema: none');
is($answer->{json}{results}[0]{id}, 's-5', 'schema: its id is known');
is_deeply([ @{ $answer->{json}{results}[0]{problem} }{qw(pointer keyword)} ],
    [qw(/data/n maximum)], 'schema: the place and the keyword');
is(outcomes(post(join("\n", @mixed, '{'), feed => 'warned')), '201 1 2 3 4w 5w 400',
    'schema: warnings stay');
is(stored('checked'), 3, 'schema: three are stored');

###############################################################################
# attributes of the log

my $copy = event(id => 'copy', feed => 'x', sequence => '00000000000000000007',
    cursor => 'a-7', prevcursor => 'a-6', sequencetype => 'Integer');
my $refused = post($copy, prefer => []);
is($refused->{status}, 400, 'the log\'s own attributes are refused');
like($refused->{json}{pointer}, qr{^/(?:feed|sequence|sequencetype|cursor|prevcursor)$},
    'with the pointer');
like(outcomes(post(join "\n", $copy, event(id => 'plain'))), qr/^201 \d+r \d+$/,
    'lenient: the log replaces them, and says so');
my ($event) = grep { $_->{id} eq 'copy' } @{ $t->poll_all('orders') };
is_deeply([ @$event{qw(feed sequencetype)} ], [ 'orders', undef ], 'by its own');
like(outcomes(post('x', type => 'text/plain', headers => [ 'ce-id' => 'k',
    'ce-specversion' => '1.0', 'ce-source' => '/s', 'ce-type' => 't',
    'ce-sequence' => '9', 'ce-feed' => 'y' ])), qr/^201 \d+r$/, 'in binary mode as well');
is(outcomes(post(event(id => 'm', myExt => 1))), '200 400', 'other rules hold');

###############################################################################
# what it costs

$answer = post(join("\n", event(id => 'q'), '{', '{'), key => $few);
is($answer->{headers}{ratelimit} =~ /r=(\d+)/ && $1, 5, 'each is charged, refused or not');
is(outcomes(post(join("\n", map { event() } 1 .. 6), key => $few)), '429',
    'a quota refuses all');

###############################################################################
# the field

for my $case (
    [ 1, 'handling=lenient' ], [ 1, 'Handling="lenient"' ], [ 1, 'HANDLING = Lenient ' ],
    [ 1, 'respond-async, wait=10, handling=lenient; x=1' ],
    [ 1, 'a="b, handling=strict, \\"", handling=lenient' ],
    [ 1, 'respond-async', 'handling=lenient' ], [ 1, ', ,handling=lenient,' ],
    [ 0, 'handling=strict' ], [ 0, 'handling=strict, handling=lenient' ],
    [ 0, 'handling=strict', 'handling=lenient' ], [ 0, 'handling' ], [ 0, 'lenient' ],
    [ 0, 'xhandling=lenient' ], [ 0, 'handling=lenient2' ], [ 0, 'a="handling=lenient"' ],
    [ 0, '' ], [ 0, '"' ], [ 0, 'handling="' ], [ 0, 'a="\\' ], [ 0, ';handling=lenient' ],
) {
    my ($lenient, @fields) = @$case;
    is(post('{', prefer => \@fields)->{status}, $lenient ? 200 : 400,
        'prefer: ' . join ' | ', @fields);
}

is($t->http(POST => '/v1/feeds/orders/events', { authorization => "Bearer $key",
    origin => 'https://page.example', prefer => 'handling=lenient',
    'content-type' => $lines }, event())->{headers}{'access-control-expose-headers'}
    =~ /Preference-Applied/ ? 1 : 0, 1, 'a page may read what was applied');
like($t->http(OPTIONS => '/v1/feeds/orders/events', { origin => 'https://page.example',
    'access-control-request-method' => 'POST' })->{headers}{'access-control-allow-headers'},
    qr/\bPrefer\b/, 'and may ask for it');

###############################################################################
# counters, and the store

my $events = 0;
$events += stored($_) for qw(orders checked warned);
my $metrics = $t->http(GET => '/v1/metrics', { authorization => 'Bearer '
    . $t->partner_key('root', scopes => 'admin') })->{body};
is(($metrics =~ /^eventsync_events_published_total (\d+)/m)[0] // $metrics, $events,
    'only what is stored is counted');
ok($t->verify, 'the store is sound');

###############################################################################
# media types of events by line

for my $type ($lines, 'application/ndjson', 'application/jsonl', 'application/x-jsonl',
    'application/jsonlines', 'Application/X-JsonLines; charset=utf-8')
{
    is(post(join("\n", event(), event()), type => $type, prefer => [])->{status}, 201,
        "by line: $type");
}
is(post(event(), type => $_, prefer => [])->{status}, 415, "not by line: $_")
    for 'application/jsonl2', 'text/jsonl', 'application/json-seq';

done_testing();
