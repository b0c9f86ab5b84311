/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/net.h"

#include "agent/etc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

#define ANSWER_SIZE 32768 /* the largest datagram of a dump: NLMSG_GOODSIZE at most */

typedef struct
{
  struct nlmsghdr header;
  union
  {
    struct ifinfomsg link;
    struct ifaddrmsg address;
    struct rtmsg route;
  };
  uint8_t attributes[128];
} Request;

/* ---- Netlink ------------------------------------------------------------------------------- */

static void
request_init (Request *request, uint16_t type, uint16_t flags, size_t body_size)
{
  *request = (Request){ .header = { .nlmsg_len = (uint32_t) NLMSG_LENGTH (body_size),
                                    .nlmsg_type = type,
                                    .nlmsg_flags = NLM_F_REQUEST | flags,
                                    .nlmsg_seq = 1 } };
}

/* The caller knows that there is room: there are at most three attributes of 16 bytes. */
static void
request_add (Request *request, uint16_t type, const void *data, size_t size)
{
  const size_t offset = NLMSG_ALIGN (request->header.nlmsg_len);
  struct rtattr *attribute = (struct rtattr *) ((uint8_t *) request + offset);

  attribute->rta_type = type;
  attribute->rta_len = (uint16_t) RTA_LENGTH (size);
  memcpy (RTA_DATA (attribute), data, size);
  request->header.nlmsg_len = (uint32_t) (offset + RTA_ALIGN (attribute->rta_len));
}

static int
open_netlink (const Request *request)
{
  const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  const int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

  if (fd < 0 || sendto (fd, request, request->header.nlmsg_len, 0,
                        (const struct sockaddr *) &kernel, sizeof kernel) >= 0)
    return fd;
  close (fd);
  return -1;
}

/* Sends a request and takes its acknowledgement, which is there when sendto() returns. */
static bool
carry_out (Request *request)
{
  struct
  {
    struct nlmsghdr header;
    struct nlmsgerr error;
    Request copy; /* of the request, which an error repeats */
  } answer;
  ssize_t n;
  int fd;

  request->header.nlmsg_flags |= NLM_F_ACK;
  fd = open_netlink (request);
  if (fd < 0)
    return false;
  n = recv (fd, &answer, sizeof answer, MSG_DONTWAIT);
  close (fd);
  if (n < 0)
    return false;
  errno = EPROTO;
  if (n < (ssize_t) offsetof (typeof (answer), copy) || answer.header.nlmsg_type != NLMSG_ERROR)
    return false;
  errno = -answer.error.error;
  return answer.error.error == 0;
}

/* ---- The device ---------------------------------------------------------------------------- */

/* Whether a kind is told of the link: only what was made in software has one. */
static bool
has_kind (const struct nlmsghdr *header)
{
  const struct ifinfomsg *link = NLMSG_DATA (header);
  int left = (int) IFLA_PAYLOAD (header);

  for (const struct rtattr *outer = IFLA_RTA (link); RTA_OK (outer, left);
       outer = RTA_NEXT (outer, left))
    {
      int inner_left = (int) RTA_PAYLOAD (outer);

      if ((outer->rta_type & NLA_TYPE_MASK) != IFLA_LINKINFO)
        continue;
      for (const struct rtattr *inner = RTA_DATA (outer); RTA_OK (inner, inner_left);
           inner = RTA_NEXT (inner, inner_left))
        if (inner->rta_type == IFLA_INFO_KIND)
          return true;
    }
  return false;
}

static bool
is_device (const struct nlmsghdr *header)
{
  const struct ifinfomsg *link = NLMSG_DATA (header);

  return header->nlmsg_type == RTM_NEWLINK && header->nlmsg_len >= NLMSG_LENGTH (sizeof *link) &&
         link->ifi_type == ARPHRD_ETHER && !has_kind (header);
}

int
agent_net_find_device (void)
{
  static _Alignas(struct nlmsghdr) uint8_t answer[ANSWER_SIZE];
  bool done = false;
  int fd, found = 0;
  Request request;
  ssize_t n;

  request_init (&request, RTM_GETLINK, NLM_F_DUMP, sizeof request.link);
  fd = open_netlink (&request);
  if (fd < 0)
    return 0;
  while (!done && (n = recv (fd, answer, sizeof answer, MSG_DONTWAIT)) > 0)
    {
      unsigned left = (unsigned) n;

      for (const struct nlmsghdr *header = (const struct nlmsghdr *) answer;
           NLMSG_OK (header, left); header = NLMSG_NEXT (header, left))
        {
          const struct ifinfomsg *link = NLMSG_DATA (header);

          if (is_device (header) && (found == 0 || link->ifi_index < found))
            found = link->ifi_index;
          done = done || header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR;
        }
    }
  close (fd);
  return found;
}

/* Of the device; false with errno. */
static bool
set_ipv6_option (const char *device_name, const char *option, const char *value)
{
  char path[128];
  bool written;
  int fd;

  snprintf (path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", device_name, option);
  fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  written = write (fd, value, strlen (value)) == (ssize_t) strlen (value);
  close (fd);
  return written;
}

/* The host says what the addresses are; no router and no neighbour does. On a link with two ends
 * nobody else can have the same address, so nothing has to wait until that was asked. */
static bool
prepare_ipv6 (const AgentNetConfig *config, const char *device_name, AgentError *error)
{
  static const struct
  {
    const char *name;
    const char *value;
  } options[] = {
    { "accept_ra", "0" }, { "autoconf", "0" }, { "accept_dad", "0" }, { "disable_ipv6", "0" }
  };
  const bool wanted = config->v6.address.family != AF_UNSPEC;

  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    {
      if ((!wanted && strcmp (options[i].name, "disable_ipv6") == 0) ||
          set_ipv6_option (device_name, options[i].name, options[i].value))
        continue;
      if (errno == ENOENT && !wanted)
        return true;
      if (errno == ENOENT)
        return agent_error_set (error, "the guest cannot have an IPv6 address: its kernel has no "
                                       "IPv6, or it is turned off");
      return agent_error_set_errno (error, "cannot set the IPv6 option %s of the network device %s",
                                    options[i].name, device_name);
    }
  return true;
}

static bool
bring_up (int device)
{
  Request request;

  request_init (&request, RTM_NEWLINK, 0, sizeof request.link);
  request.link = (struct ifinfomsg){
    .ifi_family = AF_UNSPEC, .ifi_index = device, .ifi_flags = IFF_UP, .ifi_change = IFF_UP
  };
  return carry_out (&request);
}

static bool
add_address (const AgentNetFamily *family, int device)
{
  const AgentIp *ip = &family->address;
  const size_t size = agent_ip_size (ip->family);
  Request request;

  request_init (&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof request.address);
  request.address = (struct ifaddrmsg){ .ifa_family = (uint8_t) ip->family,
                                        .ifa_prefixlen = (uint8_t) family->prefix,
                                        .ifa_flags = ip->family == AF_INET6 ? IFA_F_NODAD : 0,
                                        .ifa_scope = RT_SCOPE_UNIVERSE,
                                        .ifa_index = (uint32_t) device };
  request_add (&request, IFA_LOCAL, ip->bytes, size);
  request_add (&request, IFA_ADDRESS, ip->bytes, size);
  if (ip->family == AF_INET && family->prefix < 31)
    {
      const uint32_t broadcast = ip->v4.s_addr | htonl (UINT32_MAX >> family->prefix);

      request_add (&request, IFA_BROADCAST, &broadcast, sizeof broadcast);
    }
  return carry_out (&request);
}

static bool
add_default_route (const AgentIp *gateway, int device)
{
  Request request;

  request_init (&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof request.route);
  request.route = (struct rtmsg){ .rtm_family = (uint8_t) gateway->family,
                                  .rtm_table = RT_TABLE_MAIN,
                                  .rtm_protocol = RTPROT_STATIC,
                                  .rtm_scope = RT_SCOPE_UNIVERSE,
                                  .rtm_type = RTN_UNICAST };
  request_add (&request, RTA_GATEWAY, gateway->bytes, agent_ip_size (gateway->family));
  request_add (&request, RTA_OIF, &device, sizeof device);
  return carry_out (&request);
}

static bool
set_up_family (const AgentNetFamily *family, int device, const char *device_name, AgentError *error)
{
  char text[AGENT_IP_TEXT_MAX];

  if (family->address.family == AF_UNSPEC)
    return true;
  if (!add_address (family, device))
    return agent_error_set_errno (error, "cannot give the address %s/%u to the network device %s",
                                  agent_ip_to_text (&family->address, text), family->prefix,
                                  device_name);
  if (family->gateway.family != AF_UNSPEC && !add_default_route (&family->gateway, device))
    return agent_error_set_errno (error, "cannot make the default route over %s on %s",
                                  agent_ip_to_text (&family->gateway, text), device_name);
  return true;
}

bool
agent_net_set_up (const AgentNetConfig *config, int device, AgentError *error)
{
  char name[IF_NAMESIZE];

  if (if_indextoname ((unsigned) device, name) == NULL)
    return agent_error_set_errno (error, "the network device is gone");
  if (!prepare_ipv6 (config, name, error))
    return false;
  if (!bring_up (device))
    return agent_error_set_errno (error, "cannot bring up the network device %s", name);
  return set_up_family (&config->v4, device, name, error) &&
         set_up_family (&config->v6, device, name, error);
}

/* ---- Resolvers ----------------------------------------------------------------------------- */

bool
agent_net_write_resolvers (const AgentNetConfig *config, AgentError *error)
{
  char content[64 + AGENT_RESOLVERS_MAX * (AGENT_IP_TEXT_MAX + 16)];
  char text[AGENT_IP_TEXT_MAX];
  size_t used;
  int etc_fd;
  bool written;

  if (config->n_resolvers == 0)
    return true;
  used = (size_t) snprintf (content, sizeof content, "# Written by vmsan at each start.\n");
  for (unsigned i = 0; i < config->n_resolvers; i++)
    used += (size_t) snprintf (content + used, sizeof content - used, "nameserver %s\n",
                               agent_ip_to_text (&config->resolvers[i], text));
  etc_fd = agent_etc_open ();
  if (etc_fd < 0)
    return agent_error_set_errno (error, "cannot write /etc/resolv.conf: /etc cannot be opened");
  written = agent_etc_replace (etc_fd, "resolv.conf", content);
  if (!written)
    agent_error_set_errno (error, "cannot write /etc/resolv.conf");
  close (etc_fd);
  return written;
}
