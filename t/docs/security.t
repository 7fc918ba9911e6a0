#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/security.md and docs/compliance.md: every operation and directive belongs
# to a surface, each surface has each kind of threat, and each threat and answer
# names what shows it.

use warnings;
use strict;

use JSON::PP;
use Test::More;

sub slurp { local (@ARGV, $/) = @_; return scalar <> }

# The cells of the rows of a table.
sub rows {
    return map { [ map { s/^\s+|\s+$//gr } split /\|/, s/^\||\|$//gr, -1 ] }
        grep { /^\|/ && !/^\|-/ } split /\n/, $_[0];
}

my $page = slurp('docs/security.md');
my ($surfaces) = $page =~ /^(\| surface \|.*?)\n\n/ms;
my (undef, @surfaces) = rows($surfaces);
my (%tag, %directive);
for my $row (@surfaces) {
    $tag{$_}++ for $row->[1] =~ /`(\w+)`/g;
    $directive{$_}++ for $row->[2] =~ /`(eventsync_\w+)`/g;
}

my $api = JSON::PP->new->utf8->decode(slurp('docs/openapi.json'));
my %used = map { $_ => 1 } map { @{ $_->{tags} } } grep { ref eq 'HASH' && $_->{tags} }
    map { values %$_ } values %{ $api->{paths} };
is_deeply([ sort keys %tag ], [ sort keys %used ], 'each tag of operations has a surface');
my @directives = slurp('ngx_module/ngx_http_eventsync_module.c') =~ /ngx_string\("(eventsync\w*)"\)/g;
cmp_ok(scalar @directives, '>', 30, 'directives');
is_deeply([ sort keys %directive ], [ sort @directives ], 'each directive has a surface');
is_deeply([ grep { $_ > 1 } values %tag, values %directive ], [], 'and only one');

# A tag that groups other operations than it did needs another look at them.
my %section = $page =~ /^## ([^\n]+)\n(.*?)(?=^## |\z)/msg;
for my $row (@surfaces) {
    my ($title, $anchor) = $row->[0] =~ /^\[(.+?)\]\(#([\w-]+)\)$/;
    my ($name) = grep { lc $_ eq lc $title } keys %section;
    ok($name, "$title: a section") or next;
    my ($head, @threats) = rows($section{$name});
    is("@$head", 'threat control test', '... with a table');
    my %kind = map { ($_->[0] =~ /^([STRIDE]): \S/ ? $1 : '?') => 1 } @threats;
    is(join('', sort keys %kind), join('', sort split //, 'STRIDE'), '... of each kind');
    is_deeply([ map { $_->[0] } grep { $_->[1] eq '' || $_->[2] !~ /`t\// } @threats ], [],
        '... each with a control and a test');
}

my ($head, @controls) = rows($section{'Nothing falls open'});
is("@$head", 'control what is missing or damaged then test', 'controls');
is_deeply([ map { $_->[0] } grep { $_->[3] !~ /`t\// } @controls ], [], 'each has a test');

my $answers = slurp('docs/compliance.md');
cmp_ok(scalar(grep { $_->[0] =~ /\?$/ } rows($answers)), '>', 40, 'questions');
is_deeply([ map { $_->[0] } grep { @$_ != 3 || $_->[1] eq '' } rows($answers) ], [],
    'each has an answer');
for my $row (grep { $_->[0] =~ /\?$/ && $_->[1] =~ /^Yes\b/ } rows($answers)) {
    ok($row->[2] ne '', "$row->[0] Yes, and where");
}

my @tests = map { /`(t\/[\w\/]+\.[tc])`/g } $page, $answers;
cmp_ok(scalar @tests, '>', 120, 'tests are named');
is_deeply([ grep { !-e } @tests ], [], 'which are there');

done_testing();
