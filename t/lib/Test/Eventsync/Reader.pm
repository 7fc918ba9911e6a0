# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Reader;

# A reader of Server-Sent Events on a bare socket, as the HTML standard defines
# it.  Events without a name are messages; the reader keeps everything.
#
#     my $reader = Test::Eventsync::Reader->new($t, $path, $key);
#     is($reader->ids(2), 'a b');
#     is($reader->{id}, $cursor);

use warnings;
use strict;

use Time::HiRes qw(time);

# Headers replace the default ones; `port` is that of the test's server.
sub new {
    my ($class, $t, $path, $key, %headers) = @_;
    my $port = delete $headers{port};
    my $call = $t->http_start(GET => $path, { accept => 'text/event-stream',
        authorization => defined $key ? "Bearer $key" : undef,
        connection => 'keep-alive', %headers }, undef,
        $port ? (port => $port) : ());
    my $self = bless { call => $call, got => [], named => [], all => [],
        id => '', text => '' }, $class;
    my $head = Test::Eventsync::read_until($call, "\r\n\r\n", time + 20)
        // die "no response head\n";
    ($self->{status}) = $head =~ m{^HTTP/1.1 (\d+)};
    $self->{head} = $head;
    ($self->{left}) = $head =~ /^content-length: (\d+)/mi;
    return $self;
}

# Reads one chunk; false at the end of the stream or connection.
sub chunk {
    my ($self, $seconds) = @_;
    my $end = time + ($seconds // 20);
    my $call = $self->{call};

    if (defined $self->{left}) {
        return $self->ended('well') if $self->{left} == 0;
        my $text = Test::Eventsync::read_bytes($call, $self->{left}, $end)
            // return $self->ended('cut');
        $self->{left} = 0;
        $self->take($text);
        return 1;
    }

    my $size = Test::Eventsync::read_until($call, "\r\n", $end)
        // return $self->ended('cut');
    my $text = Test::Eventsync::read_bytes($call, hex($size) + 2, $end)
        // return $self->ended('cut');
    return $self->ended('well') if hex($size) == 0;

    $self->take(substr $text, 0, hex $size);
    return 1;
}

sub take {
    my ($self, $text) = @_;

    $self->{text} .= $text;
    while ($self->{text} =~ s/\A(.*?)\n\n//s) {
        my ($name, @data);
        for my $line (split /\n/, $1) {
            $self->{comments}++ if $line =~ /^:/;
            $self->{retry} = $1 if $line =~ /^retry: (\d+)$/;
            $self->{id} = $1 if $line =~ /^id: (.*)$/;
            $name = $1 if $line =~ /^event: (.*)$/;
            push @data, $1 if $line =~ /^data: (.*)$/;
            $self->{odd}++
                unless $line =~ /^(?::|(?:retry|id|event|data): )/;
        }
        next unless @data;
        my $event = { name => $name, id => $self->{id},
            data => join "\n", @data };
        push @{ $self->{all} }, $event;
        push @{ defined $name ? $self->{named} : $self->{got} }, $event;
    }
}

sub ended {
    my ($self, $how) = @_;
    $self->{ended} = $how;
    return 0;
}

sub await {
    my ($self, $condition, $seconds) = @_;
    my $end = time + ($seconds // 20);
    until ($condition->($self)) {
        $self->chunk($end - time) or return $condition->($self);
    }
    return 1;
}

sub events {
    my ($self, $n) = @_;
    $self->await(sub { @{ $_[0]{got} } >= $n });
    return map { Test::Eventsync::json($_->{data}) } splice @{ $self->{got} };
}

sub ids {
    my ($self, $n) = @_;
    return join ' ', map { $_->{id} } $self->events($n);
}

# The cursors of the `position` events so far.
sub positions {
    my ($self) = @_;
    return map { $_->{id} } grep { $_->{name} eq 'position' }
        @{ $self->{named} };
}

# The problem of the last `end` event, or undef.
sub problem {
    my ($self) = @_;
    my $last = $self->{all}[-1] // return;
    return ($last->{name} // '') eq 'end'
        ? Test::Eventsync::json($last->{data}) : undef;
}

sub to_end {
    my ($self, $seconds) = @_;
    1 while $self->chunk($seconds);
    return $self->{ended};
}

sub close { close $_[0]{call}{sock} }

1;
