#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A catalogue goes from one store to another by "type export" and "type
# promote": what the other lacks, all of it or nothing.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init;
my $from = $t->store;
my $to = $t->testdir . '/live';
$t->ctl_ok("--store=$to", 'init', '--plain-secrets');

sub schema { my (%more) = @_;
    return JSON::PP->new->canonical->encode({ type => 'object', %more }) }
sub register {
    my ($store, $type, $version, $schema, @options) = @_;
    $t->ctl_ok({ stdin => $schema }, "--store=$store", qw(type register), $type, $version,
        @options);
}
sub export_of { return $t->ctl_ok("--store=$_[0]", qw(type export), @_[1 .. $#_]) }
sub promote {
    my ($lines, @options) = @_;
    return $t->ctl({ stdin => $lines }, "--store=$to", qw(type promote), @options);
}
sub refused {
    my ($lines, $like, $name) = @_;
    my $before = export_of($to);
    for my $dry (0, 1) {
        my ($rc, $out, $err) = promote($lines, $dry ? '--dry-run' : ());
        is($rc, 1, "$name is refused" . ($dry ? ' by a dry run' : ''));
        like($err, $like, '... with the reason');
        like($err, qr/; nothing was registered\n\z/, '... in whole');
        is($err =~ tr/\n//, 1, '... in one line');
        is($out, '', '... and nothing is printed');
    }
    is(export_of($to), $before, '... and nothing is registered');
}

###############################################################################
# a catalogue with all that it can have

my $spaced = qq({\n  "type": "object",\n  "title": "\x{c3}\x{a9} \\" \\\\" }\n);
register($from, 'order.paid', '1.0.0', $spaced, '--description=An order', '--feeds=orders,in-*');
register($from, 'order.paid', '1.1.0', schema(properties => { sum => { type => 'number' } }));
register($from, 'order.paid', '2.0.0', schema(required => ['sum']));
register($from, 'any', '0.1.0', 'true');
$t->ctl_ok(qw(type deprecate order.paid 1.0.0 --from=2026-01-01T00:00:00Z),
    '--sunset=2027-01-01T00:00:00Z');

my $lines = export_of($from);
is_deeply([ map { "$_->{type} $_->{version}" } map { decode_json($_) } split /\n/, $lines ],
    ['any 0.1.0', 'order.paid 1.0.0', 'order.paid 1.1.0', 'order.paid 2.0.0'],
    'an export has a line for each version');
is(export_of($from, 'any'), (split /^/, $lines)[0], 'or those of one type');
is(($t->ctl(qw(type export none)))[0], 1, 'a type that does not exist');

my ($rc, $out, $err) = promote($lines, '--dry-run');
is($rc, 0, 'a dry run') or diag $err;
is($out, "any 0.1.0\norder.paid 1.0.0\norder.paid 1.1.0\norder.paid 2.0.0\n"
        . "would register 4 versions; 0 were there already\n", '... says what is new');
is(export_of($to), '', '... and registers nothing');

($rc, $out, $err) = promote($lines);
is($rc, 0, 'the catalogue is promoted') or diag $err;
like($out, qr/^registered 4 versions; 0 were there already$/m, '... which says so');
is(export_of($to), $lines, '... with descriptions, feeds, dates and the bytes of each document');
is($t->ctl_ok("--store=$to", qw(type show order.paid 1.0.0)), $spaced, '... byte for byte');
like($t->ctl_ok("--store=$to", qw(audit list --json)),
    qr/"create".*order\.paid 2\.0\.0|order\.paid 2\.0\.0.*"create"/, '... and in the audit');

($rc, $out) = promote($lines);
is("$rc $out", "0 registered 0 versions; 4 were there already\n", 'again: nothing is new');

###############################################################################
# what the other store has stays as it is there

$t->ctl_ok("--store=$to", qw(type change order.paid --feeds=live));
$t->ctl_ok("--store=$to", qw(type deprecate order.paid 1.0.0 --cancel));
register($from, 'order.paid', '2.1.0', schema());
is((promote(export_of($from)))[1],
    "order.paid 2.1.0\nregistered 1 version; 4 were there already\n", 'one more version');
my $type = decode_json($t->ctl_ok("--store=$to", qw(type show order.paid)));
is_deeply($type->{feeds}, ['live'], '... leaves the feeds of the type');
is($type->{versions}[0]{deprecated}, undef, '... and the dates of a version');
is_deeply(decode_json((promote($lines, '--json'))[1]),
    { registered => [], present => 4, dry_run => JSON::PP::false }, 'with --json');

# Another order of members and other white space are the same document.
my %line = map { my $l = decode_json($_); ("$l->{type} $l->{version}" => $l) } split /\n/, $lines;
sub line { my (%member) = @_; return encode_json(\%member) . "\n" }
is((promote(line(%{ $line{'order.paid 1.0.0'} },
    schema => qq({"title":"\x{e9} \\" \\\\","type":"object"}))))[0], 0,
    'the same document in another form');

###############################################################################
# what is refused, all or nothing

my $good = line(type => 'new', version => '1.0.0', schema => 'true');
refused($good . line(%{ $line{'order.paid 1.1.0'} },
    schema => '{"type":"object","properties":{"sum":{"type":"string"}}}'),
    qr{type "order.paid" 1\.1\.0 /properties/sum/type: the version exists with another document},
    'another document of a version');
refused($good . line(%{ $line{'order.paid 1.1.0'} }, schema => '{"type":"object"}'),
    qr{ 1\.1\.0 /properties: }, 'a member less');
refused($good . line(%{ $line{'order.paid 2.0.0'} },
    schema => '{"type":"object","required":["other"]}'), qr{ 2\.0\.0 /required/0: },
    'another item');
refused($good . line(type => 'order.paid', version => '1.2.0',
    schema => schema(properties => { sum => { type => 'integer' } })),
    qr{type "order.paid" 1\.2\.0 /properties/sum: breaks what version 1\.1\.0 accepts},
    'a version that breaks what the store has');
refused($good . line(type => 'new', version => '1.1.0', schema => 'false'),
    qr{type "new" 1\.1\.0.*breaks what version 1\.0\.0 accepts},
    'a version that breaks one of the same file');
refused($good . line(type => 'order.paid', version => '1.0.5', schema => 'true'),
    qr{ 1\.0\.5: version 1\.1\.0 already exists, and a new version}, 'a version from between');
refused($good . line(type => 'a b', version => '1.0.0', schema => 'true'),
    qr{type "a b" 1\.0\.0: a type in the catalogue must be}, 'a bad name');
refused($good . line(type => 'ab', version => '1.0', schema => 'true'),
    qr{type "ab" 1\.0: a version must be}, 'a bad version');
refused($good . line(type => 'ab', version => '1.0.0', schema => '{"type":"objekt"}'),
    qr{type "ab" 1\.0\.0 /type: }, 'a bad schema');
refused($good . line(type => 'ab', version => '1.0.0', schema => 'true', feeds => ['A B']),
    qr{type "ab" 1\.0\.0: .*feed}, 'bad feeds');
refused($good . line(type => 'ab', version => '1.0.0', schema => 'true', feeds => 'a'),
    qr{type "ab" 1\.0\.0: .*}, 'feeds that are no list');
refused($good . line(type => 'ab', version => '1.0.0', schema => 'true',
    description => 'x' x 1025), qr{type "ab" 1\.0\.0: a description must be},
    'a long description');
refused($good . line(type => 'ab', version => '1.0.0', schema => 'true',
    deprecated => '2027-01-01T00:00:00Z', sunset => '2026-01-01T00:00:00Z'),
    qr{type "ab" 1\.0\.0: the sunset must not be before}, 'a sunset before the deprecation');
refused($good . line(type => 'ab', version => '1.0.0', schema => 'true', sunset => 'soon'),
    qr{line 2 of standard input: a date is not an RFC 3339 time}, 'a bad date');
refused($good . line(type => 'ab', version => '1.0.0'), qr{line 2 of standard input: .*schema},
    'a line without a schema');
refused($good . line(type => 'ab', version => '1.0.0', schema => 'true', feed => 'a'),
    qr{line 2 of standard input: }, 'a member that is unknown');
refused(substr($good x 2, 0, -10), qr{line 2 of standard input: }, 'a file that is cut');

like((promote(''))[2], qr/standard input has no version/, 'an empty file');
is((promote(''))[0], 1, '... fails');

done_testing();
