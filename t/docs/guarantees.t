#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/guarantees.md and docs/versioning.md: the tests that they name are there,
# the figures are those of docs/performance.md, and the versions those of the
# code.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

sub slurp { local (@ARGV, $/) = @_; return scalar <> }

my $page = slurp('docs/guarantees.md');
my @tests = $page =~ /`(t\/[\w\/]+\.t)`/g;
cmp_ok(@tests, '>', 20, 'promises have tests');
is_deeply([ grep { !-e } @tests ], [], 'which are there');

my @rows = grep { /^\| (?!promise|channel|ordering|-)/ } split /\n/, $page;
is_deeply([ grep { !/`t\// } @rows ], [], 'each promise has one');

my %measured = slurp('docs/performance.md')
    =~ /^\| (`[\w-]+`(?:, [^|]+?)?) \| ([\d.]+) \|/mg;
my %said = map { /^(`.*?`(?:, \w+)?) ([\d.]+)$/ ? ($1 => $2) : () }
    map { split /; / } $page =~ /\| (`[a-z][\w-]+`[^|]*? [\d.; \w`,-]+?) \|$/mg;
cmp_ok(keys %said, '>', 10, 'costs have figures');
is_deeply(\%said, { map { $_ => $measured{$_} } keys %said },
    'which are those that were measured');

my $versioning = slurp('docs/versioning.md');
my ($format) = $versioning =~ /the file `format`, now (\d+)/;
my $t = Test::Eventsync->new;
$t->store_init;
like($t->read_file('store/format'), qr/^eventsync-store $format$/m,
    'the format of the store');
my ($rc, $out) = $t->ctl('--version');
my ($version) = $out =~ /(\d+\.\d+)\.\d+/;
like($page, qr/for eventsync \Q$version\E and store format $format\./,
    'the guarantees are of this version');

done_testing();
