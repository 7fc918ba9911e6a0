# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Matrix;

# Two partners whose every text has a canary, credentials of each kind, and the
# requests of each operation of an OpenAPI document.
#
#     my $m = Test::Eventsync::Matrix->new($t, $api);
#     $m->partner('acme');                   # its canary is q7acme
#     my $answer = $m->ask('getFeed', { key => $key }, $m->names('acme'));
#     $m->canaries($text);                   # ('acme')
#
# Requests go over connections that are kept, one for each server and
# certificate.

use warnings;
use strict;

use JSON::PP;
use IO::Uncompress::AnyInflate qw(anyinflate);

my $coder = JSON::PP->new->utf8->canonical->allow_nonref;

sub new {
    my ($class, $t, $api) = @_;
    my %operation = map { $_->{id} => $_ } $api->operations;
    return bless { t => $t, operation => \%operation, socks => {}, of => {},
        private => {} }, $class;
}

###############################################################################
# partners

sub canary { return "q7$_[1]" }

# A partner with two feeds, one of which has a full page, an event type, an
# endpoint, and a certificate whose record has all scopes.
sub partner {
    my ($self, $who, $url) = @_;
    my $t = $self->{t};
    my $c = $self->canary($who);
    my %it = (partner => $c, feed => "feed-$c", spare => "spare-$c",
        type => "type.$c", version => '1.0.0', consumer => "consumer-$c", n => 1);

    $t->feed($_) for @it{qw(feed spare)};
    $t->partner($c, feeds => "$it{feed},$it{spare}", publish => "$it{feed},$it{spare}",
        allow_ports => '1024');
    $t->ctl_ok({ stdin => qq({"title":"$c"}) }, qw(type register), $it{type},
        $it{version}, "--description=$c", "--feeds=$it{feed}");
    $it{name} = $t->endpoint($c, url => "$url/hook-$c", feeds => $it{feed},
        types => "type.*", schedule => '0,10h', start => 'oldest',
        headers => qq({"x-of":"value-$c"}),
        secret => 'whsec_' . substr($c x 6, 0, 32));
    $self->{of}{$who} = \%it;
    $self->{private}{$who} = [ "value-$c", substr($c x 6, 0, 32), "data-$c" ];
    return $self->{of}{$who};
}

# Events after the start of nginx, and a checkpoint.
sub fill {
    my ($self, $who, $key) = @_;
    my $t = $self->{t};
    my $c = $self->canary($who);
    my $it = $self->{of}{$who};
    my $answer = $t->publish($it->{feed}, { key => $key }, map { {
        id => "id-$c-$_", source => "/source-$c", subject => "subject-$c",
        type => $it->{type}, extension => "ext-$c", data => { is => "data-$c" } } }
        1 .. 101);
    die "$who: $answer->{body}\n" if $answer->{status} != 201;
    $it->{cursor} = $answer->{json}{results}[0]{cursor};
    ($it->{epoch}) = $it->{cursor} =~ /^(\w+)-/;
}

# The text of a new key.  Options: scopes, feeds, expires, allow_from; label.
sub key {
    my ($self, $who, %o) = @_;
    my $c = $self->canary($who);
    my $text = $self->{t}->ctl_ok('key', 'create', $c,
        Test::Eventsync::flags(scopes => 'read,publish,ack,manage',
            label => "label-$c", %o));
    my ($key, $secret) = $text =~ /(esk_[a-z2-7]{10}_([a-z2-7]+))/ or die "no key\n";
    push @{ $self->{private}{$who} }, $secret;
    return $key;
}

# Names for the path of a request: those of a partner, or (undef) of nothing.
sub names {
    my ($self, $who) = @_;
    return $self->{of}{$who} if defined $who;
    my ($any) = values %{ $self->{of} };
    return { partner => 'none', feed => 'none', spare => 'none', type => 'none',
        version => '1.0.0', consumer => 'none', n => 1, epoch => $any->{epoch},
        cursor => $any->{cursor}, name => 'ep_' . 'a' x 16 };
}

# The partners of whom a text has something.
sub canaries {
    my ($self, $text) = @_;
    return grep { my $who = $_; $text =~ /\Q@{[ $self->canary($who) ]}\E/i
        || grep { index($text, $_) >= 0 } @{ $self->{private}{$who} } }
        sort keys %{ $self->{of} };
}

sub method { return $_[0]{operation}{ $_[1] }{method} }
sub secret { return $_[0]{private}{ $_[1] }[1] }

# What no log, metric or error may have, of anybody.
sub private {
    my ($self) = @_;
    return map { @$_ } values %{ $self->{private} };
}

###############################################################################
# requests

# The body of each operation that has one; a link or key is the credential's.
sub body {
    my ($self, $id, $it, $with) = @_;
    my %at = (feed => $it->{feed}, cursor => $it->{cursor});
    my %body = (
        publishEvents => { specversion => '1.0', id => 'matrix', source => '/m',
            type => $it->{type} },
        putCheckpoint => { cursor => $it->{cursor} },
        createEndpoint => { url => 'https://q7.example/', feeds => [ $it->{feed} ] },
        changeEndpoint => { in_flight => 7 },
        rotateSecret => { overlap => '1h' },
        replayEvents => { feed => $it->{feed}, from => 'oldest' },
        resendEvent => \%at, skipEvent => \%at,
        cancelEvents => { feed => $it->{feed}, dry_run => JSON::PP::true },
        discardDeadLetters => { feed => $it->{feed}, dry_run => JSON::PP::true },
        simulateFailure => { failure => 'none' },
        sendTestEvent => {},
        createSession => { link => $with->{link} // 'esl_' . 'a' x 10 },
    );
    if ($id eq 'createToken') {
        my $key = $with->{key} // 'esk_';
        return ('application/x-www-form-urlencoded', 'grant_type=client_credentials'
            . '&client_id=' . substr($key, 4, 10) . "&client_secret=$key");
    }
    return unless $self->{operation}{$id}{body};
    my $body = $body{$id} or die "no body for $id\n";
    return ($id eq 'publishEvents' ? 'application/cloudevents+json'
        : 'application/json', $coder->encode($body));
}

# Requests an operation.  What it is requested with: key (or token), link, cert
# and tls (its socket), prefix (/v1), method (of the operation), headers.
sub ask {
    my ($self, $id, $with, $it) = @_;
    my $operation = $self->{operation}{$id};
    my $path = $operation->{path} =~ s/\{(\w+)\}/$it->{$1} \/\/ die "no $1\n"/ger;
    my ($type, $body) = $self->body($id, $it, $with);
    my %headers = ('x-by' => $with->{by} // '-', %{ $with->{headers} // {} });

    $headers{authorization} = "Bearer $with->{key}"
        if defined $with->{key} && $id ne 'createToken';
    $headers{'content-type'} = $type if defined $type;
    my $query = $with->{query} // '';
    my $answer = $self->send($with, $with->{method} // $operation->{method},
        ($with->{prefix} // '/v1') . $path . $query, \%headers, $body);
    $answer->{asked} = ($with->{method} // $operation->{method}) . " $path";
    return $answer;
}

sub send {
    my ($self, $with, $method, $path, $headers, $body) = @_;
    my $at = join ' ', map { $_ // '' } @{$with}{qw(tls cert port)};
    my $answer;

    for my $try (1, 2) {
        my $sock = $self->{socks}{$at} //= $with->{tls}
            ? $with->{tls}->connect(port => $with->{port}, cert => $with->{cert})
            : $self->{t}->socket($with->{port});
        $answer = $self->{t}->http($method, $path, $headers, $body, socket => $sock);
        delete $self->{socks}{$at} if $answer->{status} == 0
            || ($answer->{headers}{connection} // '') eq 'close';
        last if $answer->{status};
    }
    return $answer;
}

# All of an answer, as its reader has it.
sub text {
    my ($self, $answer) = @_;
    my $body = $answer->{body};
    anyinflate(\$answer->{body} => \$body) or die "$answer->{asked}: not gzip\n"
        if ($answer->{headers}{'content-encoding'} // '') eq 'gzip';
    return "$answer->{head}\n\n$body";
}

# All of an answer, but what differs between any two.
sub same {
    my ($self, $answer) = @_;
    return join "\n", $answer->{status}, (map { "$_: $answer->{headers}{$_}" }
        grep { !/^(?:date|keep-alive|connection)$/ } sort keys %{ $answer->{headers} }),
        '', $answer->{body};
}

1;
