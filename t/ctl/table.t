#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The table of commands: help, suggestions for what is misspelt, and that the
# documentation has the same commands, arguments and options.

use warnings;
use strict;

use JSON::PP;
use Test::More;
use Text::ParseWords qw(shellwords);

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
my @commands = map { decode_json($_) } split /\n/, $t->ctl_ok('help', '--json');
my %command = map { $_->{command} => $_ } @commands;

rows();
screens();
suggestions();
errors();
described();
known();
lines_of_docs();

done_testing();

###############################################################################

# Each row of the table is whole, and its examples are good calls.
sub rows {
    cmp_ok(scalar @commands, '>', 50, 'help --json prints each command');
    is(scalar keys %command, scalar @commands, 'once');
    for my $c (@commands) {
        my $name = $c->{command};
        my @faults = grep { defined } map { fault($_) }
            split /\n/, $c->{examples} // '';
        push @faults, 'no example' if !$c->{examples};
        push @faults, 'an example of another command'
            if grep { !/^\Q$name\E(?: |$)/ } split /\n/, $c->{examples} // '';
        push @faults, 'no text' if grep { !length $_->{about} }
            $c, @{ $c->{options} };
        is("@faults", '', "$name: its row is whole");
    }
}

# Why a command line is not good; undef: it is.
sub fault {
    my ($line) = @_;

    $line =~ s/ [<|>].*//;
    my @words = shellwords($line);
    shift @words while @words && $words[0] =~ /^--(?:store|key-file)(?:=|$)/
        && ($words[0] =~ /=/ || splice @words, 1, 1);
    return if !@words || $words[0] =~ /^(?:--version|--help|help)$/;
    return if grep { $_ eq '--help' } @words;
    my ($c) = grep { defined } map { $command{ join ' ', @words[0 .. $_] } }
        grep { $_ < @words } 0, 1;
    return "$line: no such command" if !$c;

    splice @words, 0, scalar split / /, $c->{command};
    my %options = map { $_->{name} => $_ }
        @{ $c->{options} }, @{ $c->{common_options} };
    my (@arguments, %given);
    while (defined(my $word = shift @words)) {
        if ($word !~ /^--/) {
            push @arguments, $word;
            next;
        }
        my ($name, $value) = $word =~ /^--([^=]*)(?:=(.*))?$/;
        my $option = $options{$name} or return "$line: no option --$name";
        $given{$name} = 1;
        return "$line: --$name has no value"
            if defined $value && !defined $option->{value};
        shift @words if !defined $value && defined $option->{value};
    }
    my @wanted = split ' ', $c->{arguments};
    return "$line: too many arguments" if @arguments > @wanted;
    return "$line: too few arguments"
        if @arguments < grep { !/^\[/ } @wanted;
    for my $option (grep { $_->{required} } @{ $c->{options} }) {
        my ($at) = grep { $c->{options}[$_] == $option } 0 .. $#{ $c->{options} };
        my $or = $c->{options}[$at + 1];
        return "$line: no --$option->{name}" if !$given{ $option->{name} }
            && !($or && $or->{instead} && $given{ $or->{name} });
    }
    return;
}

sub screens {
    my $help = $t->ctl_ok('--help');
    my @lines = split /\n/, $help;
    cmp_ok(scalar @lines, '<=', 24, 'help fits on a screen of 24 lines');
    my %group = map { $_->{group} => 1 } @commands;
    my @silent = grep { my $c = $_;
        my ($word) = split / /, $c->{command};
        $help !~ /^ {2}(?:[a-z-]+, )*\Q$word\E(?:,| {2}|$)/m } @commands;
    is_deeply([ map { $_->{command} } @silent ], [],
        'and leads to each command');
    is($t->ctl_ok($_), $help, "\"$_\" is the same") for qw(help -h);
    is($t->ctl_ok('feed', 'create', '-h'),
        $t->ctl_ok('feed', 'create', '--help'), 'and "-h" of a command');

    for my $group (sort keys %group) {
        my $text = $t->ctl_ok($group, '--help');
        my @missing = grep { $text !~ /^ {2}\Q$_\E(?: |$)/m }
            map { $_->{command} } grep { $_->{group} eq $group } @commands;
        is_deeply(\@missing, [], "help on $group has its commands");
        push @lines, split /\n/, $text;
    }

    for my $c (@commands) {
        my @words = split / /, $c->{command};
        my $text = $t->ctl_ok(@words, '--help');
        my @missing = grep { $text !~ /^ {2}--\Q$_\E(?:=| |$)/m }
            map { $_->{name} } @{ $c->{options} }, @{ $c->{common_options} };
        is_deeply(\@missing, [], "help on $c->{command} has its options");
        like($text, qr/^  eventsyncctl \Q$c->{command}\E/m, 'and examples');
        is($t->ctl_ok('help', @words), $text, 'and "help" before is the same');
        push @lines, grep { !/^  eventsyncctl / } split /\n/, $text;
    }
    is_deeply([ grep { length > 80 && / \S+ |\S \S+$/ || / $/ } @lines ], [],
        'no line is too wide or ends with a blank');
    like($t->ctl_ok('feed', 'create', 'x', '--help'), qr/--retain-age/,
        'a command may have arguments already');
}

sub suggestions {
    for (
        ['feed create', 'fed', 'create', 'x'],
        ['feed create', 'feed', 'craete', 'x'],
        ['feed create', 'create', 'feed', 'x'],
        ['partner list', 'list', 'partners'],
        ['endpoint status', 'endpoints', 'status'],
        ['feed remove', 'feed', 'delete', 'x'],
        ['key list', 'key', 'ls'],
        ['verify', 'verfiy'],
        ['publish', 'publsh', 'orders'],
        ['feed list', 'list', 'feed'],
        ['--retain-age', 'feed', 'create', 'x', '--retain_age=7d'],
        ['--retain-count', 'feed', 'create', 'x', '--retain-c=7'],
        ['--follow', 'tail', 'x', '--folow'],
        ['--json', 'feed', 'list', '--jsno'],
        ['--types', 'endpoint', 'change', 'x', '--type=a'],
    ) {
        my ($meant, @call) = @$_;
        my ($rc, $out, $err) = $t->ctl(@call);
        is($rc, 2, "@call: is refused");
        like($err, qr/\Aeventsyncctl: unknown [^\n]*; did you mean "\Q$meant\E"\?\n\z/,
            "and $meant is suggested");
    }
    for (['frobnicate'], ['feed', 'frob'], ['feed', 'create', 'x', '--zzz'],
        ['feed', 'frob', '--help'], ['x' x 100, 'list'],
        ['feed', 'create', 'x', '--' . 'x' x 100])
    {
        my ($rc, $out, $err) = $t->ctl(@$_);
        is($rc, 2, substr("@$_", 0, 30) . ': is refused');
        like($err, qr/\Aeventsyncctl: unknown [^\n]*\n\z/, 'in one line');
        unlike($err, qr/did you mean/, 'and nothing is suggested');
    }
    like(($t->ctl('feed', 'frob'))[2], qr/see "eventsyncctl feed --help"$/,
        'what leads on is said');
    like(($t->ctl('feed'))[2],
        qr/^eventsyncctl: "feed" is a group of commands; see "eventsyncctl feed --help"$/,
        'so it is for a group without a command');
}

sub errors {
    my @said = (
        ['unknown option "--zzz" of "feed create"', 'feed', 'create', 'x', '--zzz'],
        ['"--retain-age" of "feed create" needs a value: DURATION', 'feed',
            'create', 'x', '--retain-age'],
        ['"--follow" of "tail" takes no value', 'tail', 'x', '--follow=yes'],
        ['too few arguments: "feed create" needs NAME', 'feed', 'create'],
        ['unexpected argument "y" of "feed create"', 'feed', 'create', 'x', 'y'],
        ['unknown option "--frob" before the command', '--frob', 'feed', 'list'],
    );
    for (@said) {
        my ($line, @call) = @$_;
        my ($rc, $out, $err) = $t->ctl(@call);
        is("$rc $err", "2 eventsyncctl: $line\n", "@call: names the command");
    }
    $t->store_init;
    $t->feed('orders');
    for (['--json', 'feed', 'list'], ['feed', '--json', 'list'],
        ['feed', 'list', '--json'])
    {
        my ($rc, $out) = $t->ctl(@$_);
        is($rc, $_->[0] eq 'feed' && $_->[1] ne 'list' ? 2 : 0, "@$_");
        like($out, qr/^\{.*"orders"/, 'prints JSON') if !$rc;
    }
}

###############################################################################
# docs/eventsyncctl.md

sub slurp {
    my ($name) = @_;
    open my $fh, '<', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}

# The sections of the page, by the words of their headings.
sub sections {
    my %text;
    my $heading = '';
    for my $line (split /\n/, slurp('docs/eventsyncctl.md')) {
        $heading = $1 if $line =~ /^## (.*)/;
        $text{$heading} .= "$line\n";
    }
    return \%text;
}

# The section that describes the command.
sub section_of {
    my ($c, $sections) = @_;
    my @in = grep { $sections->{$_} =~ /(?:`|^eventsyncctl )\Q$c->{command}\E\b/m }
        grep { length } sort keys %$sections;
    my ($own) = grep { $_ eq $c->{command} } @in;
    my ($first) = grep { $sections->{$_} =~ /^\|[^|]*`\Q$c->{command}\E\b/m } @in;
    return $own // $first // $in[0];
}

sub described {
    my $sections = sections();
    for my $c (@commands) {
        my $section = section_of($c, $sections);
        ok($section, "docs/eventsyncctl.md describes $c->{command}") or next;
        my $text = $sections->{$section};
        my $call = join ' ', $c->{command}, length $c->{arguments}
            ? $c->{arguments} : ();
        like($text, qr/(?:`|^eventsyncctl (?:--\S+ )?)\Q$call\E(?:`| [\[\-<(]|$)/m,
            'with its arguments') unless $c->{command} eq 'verify-integration';
        my @missing = grep { $text !~ /(?<![\w-])--\Q$_\E(?![\w-])/ }
            map { $_->{name} } @{ $c->{options} };
        is_deeply(\@missing, [], 'and its options');
    }
}

# Options that the page has and the table does not: of the dispatcher.
sub known {
    my $sections = sections();
    my %dispatcher = map { $_ => 1 } qw(allow-address webhook-origin);
    my %common = map { $_->{name} => 1 } @{ $commands[0]{common_options} },
        { name => 'json' }, { name => 'version' };
    for my $heading (sort keys %$sections) {
        my %option = %common;
        for my $c (@commands) {
            next if length $heading
                && (section_of($c, $sections) // '') ne $heading;
            $option{ $_->{name} } = 1 for @{ $c->{options} };
        }
        my @unknown = grep { !$option{$_} && !$dispatcher{$_} }
            $sections->{$heading} =~ /(?<![\w-])--([a-z][a-z-]*[a-z])/g;
        is_deeply(\@unknown, [], "\"$heading\" has only options that there are");
        my @rows = $sections->{$heading} =~ /^\| `([a-z-]+(?: [a-z-]+)?)[` ]/mg;
        my @no = grep { !$command{$_} && /^(?:store|feed|type|partner|key|endpoint|checkpoint) / } @rows;
        is_deeply(\@no, [], 'and only commands that there are');
    }
}

# Each call of eventsyncctl in a block of the documentation is a good one.
sub lines_of_docs {
    for my $page ('README.md', glob 'docs/*.md') {
        my @faults;
        my $text = slurp($page) =~ s/ *\\\n\s*/ /gr;
        for my $line ($text =~ /^(?: {4}|[\w\$ ]*)?(?:.*\| )?eventsyncctl ((?:--|[a-z]).*)$/mg) {
            next if $line =~ /[\[…]|\.\.\./ && $line !~ /^[^\[…]*--/;
            next if $line =~ /\[/;
            my $fault = fault($line =~ s/ \|.*//r =~ s/\s#.*//r);
            push @faults, $fault if defined $fault;
        }
        is_deeply(\@faults, [], "$page: its calls are good ones");
    }
}
