#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What HACKING.md asks of each file, and a machine can count: the licence, a
# head that says what the file is for, short functions, names with one meaning,
# and short sentences in the documentation.  These are smoke alarms: a text that
# passes here can still be bad, but one that fails here should be written again.

use warnings;
use strict;

use Test::More;

use constant { LINES => 70, WORDS => 30 };

my @files = grep { -f } split /\n/,
    `git ls-files 2>/dev/null || find . -type f -printf '%P\n'`;
my @c = grep { m{^(?:shared|ngx_module|dispatcher|ctl|bench|t)/.*\.[ch]$} } @files;
my %text = map { $_ => slurp($_) } @c;

licence();
heads();
functions();
definitions();
sentences();

done_testing();

###############################################################################

# Says all that were found, not only the first.
sub none {
    my ($found, $what) = @_;
    is(join("\n", @$found), q{}, $what);
}

sub slurp {
    my ($name) = @_;
    open my $fh, '<', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}

# LICENSE is the one place that says which licence this is.
sub licence {
    my ($id) = slurp('LICENSE') =~ /^(SPDX-License-Identifier: \S+)$/m;
    ok($id, 'LICENSE names the licence');
    my @without = grep { slurp($_) !~ /^(?:\/\* |# |\/\/ )\Q$id\E(?: \*\/)?$/m }
        grep { /\.(?:[ch]|t|pm|pl|sh|js|css)$/ && !m{^findings/} } @files;
    none(\@without, "each source file says $id");
}

# After the licence, a comment of at least one sentence.
sub heads {
    my @without = grep { $text{$_} !~ m{
        \A /\*\ SPDX[^\n]*\n \n+ /\* (?:(?!\*/).){20,} \*/ }xs } @c;
    none(\@without, 'each C file begins with what it is for');
}

# From the line of the name to the closing brace in the first column.
sub functions {
    my @long;
    for my $file (@c) {
        my ($line, $name, $start, $body) = (0);
        for (split /\n/, $text{$file}) {
            $line++;
            if (/^\{/) {
                $body = 1;
            }
            elsif (/^\}/) {
                push @long, "$file:$start $name: " . ($line - $start + 1)
                    if $start && $body && $line - $start + 1 > LINES;
                undef $_ for $start, $body;
            }
            elsif (!$body && /;\s*$/) {
                undef $start;
            }
            elsif (!$start && /^(?:[A-Za-z_][^=]*?)?\b([A-Za-z_]\w+)\(/) {
                ($name, $start) = ($1, $line);
            }
        }
    }
    none(\@long, 'no function is longer than ' . LINES . ' lines');
}

# A type, or a macro that has a value, has one definition in the whole tree.
# The tests and benchmarks are programs of one file each: theirs are their own.
sub definitions {
    my (%type, %macro);
    for my $file (grep { !m{^(?:t|bench)/} } @c) {
        my $code = $text{$file} =~ s{/\*.*?\*/}{}gsr;
        $type{$_}{$file} = 1 for $code =~ /^\}\s*(\w+_t);/mg,
            $code =~ /^typedef\s(?!struct\b)[^;{(]*?\b(\w+_t)(?:\[\w*\])?;/mg,
            $code =~ /^typedef\s[^;{]*\(\*\s*(\w+)\)\(/mg;
        $macro{$_}{$file} = 1
            for $code =~ /^\s*#\s*define\s+(\w+)(?:\(|[ \t]+\S)/mg;
    }
    for (['type', \%type], ['macro', \%macro]) {
        my ($kind, $defined) = @$_;
        none([ map { "$_: " . join ' ', sort keys %{ $defined->{$_} } }
            grep { keys %{ $defined->{$_} } > 1
                && !/^(?:PCRE2_|_|XXH_|NGX_(?!HTTP_EVENTSYNC_))/ }
            sort keys %$defined ], "no $kind is defined in two files");
    }
}

# Words between full stops, outside code blocks and tables.
sub sentences {
    my @long;
    for my $page (grep { /\.md$/ } @files) {
        my ($fenced, @prose);
        for my $line (split /\n/, slurp($page)) {
            $fenced = !$fenced if $line =~ /^\s*```/;
            push @prose, $fenced || $line =~ /^\s*(?:```|\||#|<|$)/ ? "\0"
                : $line =~ s/^\s*(?:[-*]|\d+\.) /\0 /r;
        }
        for my $sentence (split /\0|(?<=[.!?:;])(?:\*\*|[)"`])?\s+(?=[^a-z])/,
            join ' ', @prose)
        {
            $sentence =~ s/\]\([^)]*\)/]/g;
            my $words = () = $sentence =~ /\S*[A-Za-z]\S*/g;
            push @long, "$page: $words words: " . substr $sentence, 0, 60
                if $words > WORDS;
        }
    }
    none(\@long, 'no sentence is longer than ' . WORDS . ' words');
}
