# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Manager;

# A service manager, as far as sd_notify(3) knows one: a unix datagram socket
# that keeps what programs send.
#
#     my $manager = Test::Eventsync::Manager->new("$dir/notify");
#     my $manager = Test::Eventsync::Manager->new('@name');   # abstract
#     $t->run_dispatcher({ env => { $manager->env } });
#     $manager->wait_for(qr/^READY=1$/m);

use warnings;
use strict;

use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);

use Test::Eventsync;

# Options: watchdog_us.
sub new {
    my ($class, $name, %opts) = @_;

    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM,
        Local => $name =~ s/\A@/\0/r) or die "$name: $!\n";
    $socket->blocking(0);
    return bless { name => $name, socket => $socket, messages => [], %opts },
        $class;
}

# The environment of a service.  WATCHDOG_PID is left out, since the process
# does not exist yet.
sub env {
    my ($self) = @_;
    return (NOTIFY_SOCKET => $self->{name}, $self->{watchdog_us}
        ? (WATCHDOG_USEC => $self->{watchdog_us}) : ());
}

# All messages so far, in order.
sub messages {
    my ($self) = @_;
    while (defined $self->{socket}->recv(my $text, 4096)) {
        push @{ $self->{messages} }, $text;
    }
    return @{ $self->{messages} };
}

# Forgets the messages so far.
sub forget {
    my ($self) = @_;
    $self->messages;
    $self->{messages} = [];
}

sub matching {
    my ($self, $what) = @_;
    return scalar grep { $_ =~ $what } $self->messages;
}

# The first message that matches, as soon as it has come.
sub wait_for {
    my ($self, $what, $timeout) = @_;
    return Test::Eventsync::wait_for(sub {
        my ($found) = grep { $_ =~ $what } $self->messages;
        return $found;
    }, $timeout // 20);
}

1;
