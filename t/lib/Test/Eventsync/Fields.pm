# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Fields;

# Random documents and field lists, and a judge of what a channel has sent.
#
#     my $random = Test::Eventsync::Fields->new($seed);
#     my ($json, $leaves) = $random->document;
#     my $list = $random->list;             # [["a", undef], …]; undef is "*"
#     my $json = lists({ orders => { allow => [entries($list)] } });
#     my @faults = faults($text, $leaves, $list, …);
#
# Each value that is no object or array is a canary: a text that stands nowhere
# else.  The judge knows pointers only by the names in them, and shares no code
# with the server.

use warnings;
use strict;

use JSON::PP;

use parent 'Exporter';
our @EXPORT_OK = qw(entries faults lists);

# Names, how they are spelt in JSON, and as tokens of a pointer.
my @WORDS = (['a', 'a', 'a'], ['a', '\u0061', 'a'], ['b', 'b', 'b'],
    ['', '', ''], ['x/y', 'x\/y', 'x~1y'], ['~', '~', '~0'], ['0', '0', '0'],
    ['1', '\u0031', '1'], ['ab', 'ab', 'ab'], ['"', '\"', '"'],
    ["\xc3\xa9", '\u00e9', "\xc3\xa9"], ['*', '*', undef]);
my $DEPTH = 5;
my $canaries = 0;

sub new {
    my ($class, $seed) = @_;
    return bless { state => $seed }, $class;
}

# Its own numbers, which no other code disturbs.
sub pick {
    my ($self, $n) = @_;
    $self->{state} = ($self->{state} * 1103515245 + 12345) % 2**31;
    return ($self->{state} >> 12) % $n;
}

sub space { return $_[0]->pick(6) ? '' : ' ' }

sub document {
    my ($self) = @_;
    my @leaves;
    return ($self->value([], '', \@leaves), \@leaves);
}

# The text of a value; `lead` stands before it.
sub value {
    my ($self, $path, $lead, $leaves) = @_;

    if (@$path == $DEPTH || (@$path && $self->pick(4) == 0)) {
        my $text = sprintf '"canary-%d."', ++$canaries;
        push @$leaves, { path => [@$path], text => $text, lead => "$lead$text" };
        return $text;
    }

    my $array = $self->pick(3) == 0;
    my @parts = map {
        my ($name, $own) = $array ? ($_, '') : do {
            my $word = $WORDS[ $self->pick(scalar @WORDS) ];
            ($word->[0], qq("$word->[1]") . $self->space . ':' . $self->space);
        };
        $self->space . $own
            . $self->value([@$path, $name], $own, $leaves) . $self->space;
    } 0 .. $self->pick(4);
    my $text = join ',', @parts;
    return $array ? "[$text]" : "{$text}";
}

# Up to six ways into documents.
sub list {
    my ($self) = @_;
    return [ map { [ map {
        my $word = $WORDS[ $self->pick(scalar @WORDS) ];
        $self->pick(3) && defined $word->[2] ? $word : undef;
    } 0 .. $self->pick(3) ] } 0 .. $self->pick(6) ];
}

# The JSON of a member `fields`, in bytes as the entries are.
sub lists {
    my ($member) = @_;
    my $json = JSON::PP->new->encode($member);
    utf8::downgrade($json);
    return $json;
}

# The list as entries.
sub entries {
    my ($list) = @_;
    return map { join '', map { '/' . ($_ ? $_->[2] : '*') } @$_ } @$list;
}

# True if an entry names the leaf or something that it is in.
sub shown {
    my ($leaf, $list) = @_;
    return grep {
        my $way = $_;
        @$way <= @{ $leaf->{path} } && !grep {
            $way->[$_] && $way->[$_][0] ne $leaf->{path}[$_] } 0 .. $#$way;
    } @$list;
}

# What the text has and must not have, or must have and has not.
sub faults {
    my ($text, $leaves, @lists) = @_;
    my @faults;
    for my $leaf (@$leaves) {
        if (grep { !shown($leaf, $_) } @lists) {
            push @faults, "hidden: $leaf->{text}"
                if index($text, $leaf->{text}) >= 0;
        }
        elsif (index($text, $leaf->{lead}) < 0) {
            push @faults, "missing: $leaf->{lead}";
        }
    }
    return @faults;
}

1;
